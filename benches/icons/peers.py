"""The rivals: each detector gets a grey picture and says what it found.

In:  u8 [height, width], grey.
Out: a list of (identity, corners [4, 2]); coordinates in px, a pixel's middle at .5.

Every rival runs on one thread. OpenCV's ArUco runs twice, as it comes and tuned for small markers (the comment at
`tuned` says how); the table takes whichever does better in each cell, which favours the rival.
"""
import cv2
import numpy as np
import pupil_apriltags
import zxingcpp

cv2.setNumThreads(1)
# Kind of marker that each rival reads. A name's ending `-tuned` marks the second setting of the same program.
READS = {"pupil-36h11": "apriltag", "opencv-36h11": "apriltag", "opencv-36h11-tuned": "apriltag", "opencv-6x6": "aruco",
         "opencv-6x6-tuned": "aruco", "zxing-qr": "qr", "opencv-qr": "qr"}


# Another setting gets a new number, so that stored answers are not taken for those of new settings.
VERSION = 2


def tuned(mended):
    """More window sizes, sub-pixel corners, more samples a module, up to the picture's edge, in low contrast, and
    more wrong bits. Each was tried alone on markers of 16 and 24 px; what did not help was left out.

    `mended`: share of the bits a family can mend that are mended. At 0.8 instead of 0.6, 36h11 finds more and still
    nothing in 2,235 ordinary photos; 6X6 finds something in 4 of them, so that one stays at 0.6."""
    how = cv2.aruco.DetectorParameters()
    how.adaptiveThreshWinSizeMin, how.adaptiveThreshWinSizeMax, how.adaptiveThreshWinSizeStep = 3, 23, 5
    how.cornerRefinementMethod, how.cornerRefinementWinSize = cv2.aruco.CORNER_REFINE_SUBPIX, 2
    how.perspectiveRemovePixelPerCell, how.perspectiveRemoveIgnoredMarginPerCell = 8, .2
    how.minDistanceToBorder, how.minOtsuStdDev, how.minMarkerPerimeterRate = 1, 3, .02
    how.errorCorrectionRate, how.maxErroneousBitsInBorderRate = mended, .4
    return how


class Aruco:
    def __init__(self, family, how):
        self.detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(family), how)

    def find(self, grey):
        corners, identities, _ = self.detector.detectMarkers(grey)
        if identities is None:
            return []
        return [(str(int(i)), c.reshape(4, 2) + .5) for i, c in zip(np.ravel(identities), corners)]


class Pupil:
    def __init__(self):
        self.detector = pupil_apriltags.Detector(families="tag36h11", nthreads=1, quad_decimate=1.0)

    def find(self, grey):
        return [(str(tag.tag_id), np.asarray(tag.corners)) for tag in self.detector.detect(np.ascontiguousarray(grey))]


class Zxing:
    def find(self, grey):
        found = zxingcpp.read_barcodes(grey, formats=zxingcpp.BarcodeFormat.QRCode)
        return [(code.text, np.array([[p.x, p.y] for p in (code.position.top_left, code.position.top_right,
                                                           code.position.bottom_right, code.position.bottom_left)])) for code in found]


class OpenCvQr:
    def __init__(self):
        self.detector = cv2.QRCodeDetectorAruco()

    def find(self, grey):
        try:
            _, texts, corners, _ = self.detector.detectAndDecodeMulti(grey)
        except cv2.error:  # it trips over some pictures; nothing is found in those
            return []
        if corners is None:
            return []
        return [(text, np.reshape(c, (4, 2)) + .5) for text, c in zip(texts, corners) if text]


def all_peers():
    standard = cv2.aruco.DetectorParameters()
    return {"pupil-36h11": Pupil(),
            "opencv-36h11": Aruco(cv2.aruco.DICT_APRILTAG_36h11, standard), "opencv-36h11-tuned": Aruco(cv2.aruco.DICT_APRILTAG_36h11, tuned(.8)),
            "opencv-6x6": Aruco(cv2.aruco.DICT_6X6_250, standard), "opencv-6x6-tuned": Aruco(cv2.aruco.DICT_6X6_250, tuned(.6)),
            "zxing-qr": Zxing(), "opencv-qr": OpenCvQr()}


def grey(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
