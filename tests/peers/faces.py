"""Finds faces in pictures with OpenCV's FaceDetectorYN, for the test that compares ours with it.

    python faces.py NETWORK SCORE_MIN OVERLAP_MAX FOLDER

Prints one JSON line for each picture of the folder (PPM, looked at as large as it is): its name, and for each
face left, top, width, height, x and y of the five points, score.
"""

import json
import os
import sys

import cv2

network, score_min, overlap_max, folder = sys.argv[1:]
detector = cv2.FaceDetectorYN.create(network, "", (640, 640), float(score_min), float(overlap_max), 5000)
for name in sorted(os.listdir(folder)):
    picture = cv2.imread(os.path.join(folder, name))
    detector.setInputSize((picture.shape[1], picture.shape[0]))
    faces = detector.detect(picture)[1]
    found = [] if faces is None else [[float(value) for value in face] for face in faces]
    print(json.dumps({"name": name, "faces": found}))
