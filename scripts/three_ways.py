"""One photo to three providers side by side: a lab over HTTP, a kiosk's hot folder (DPOF), a printer (IPP).

Part of the demo. The printer is CUPS' own (scripts/printer.py); the kiosk is a folder, as its software would watch it.
"""
import pathlib
import shutil
import subprocess
import sys
import time

PROVIDER = """signet = "provider/1"
name = "{name}"
currency = "EUR"
{place}
[fees]
original_minor = {fee}
[products.print-10x15]
price_minor = {price}
size_mm = [102, 152]
dpi_min = 60
"""
RULES = """# A photo in the folder side-by-side goes to the kiosk and to the printer too.
[[rule]]
name = "kiosk"
when = 'path.folder == "side-by-side" && has("print-10x15")'
order = { product = "print-10x15", provider = "kiosk" }
reason = "side by side"

[[rule]]
name = "printer"
when = 'path.folder == "side-by-side" && has("print-10x15")'
order = { product = "print-10x15", provider = "printer" }
reason = "side by side"
"""


def printer_here():
    """Whether this computer has what the printer needs; in words what is missing."""
    places = ["/usr/sbin/ippeveprinter", "/usr/bin/ippeveprinter", shutil.which("ippeveprinter")]
    if not any(place and pathlib.Path(place).exists() for place in places):
        return "ippeveprinter (Debian: cups-ipp-utils)"
    if sys.platform != "darwin" and not shutil.which("dbus-daemon"):
        return "dbus-daemon (Debian: dbus)"
    return None


class ThreeWays:
    """Two more providers beside the demo's lab."""

    def __init__(self, folder):
        self.folder = folder
        self.kiosk, self.printer = folder / "kiosk", folder / "printer"
        self.process = None

    def start_printer(self, port):
        script = pathlib.Path(__file__).with_name("printer.py")
        log = self.folder / "printer.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen([sys.executable, str(script), str(self.printer), "--port", str(port)],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            if b"printer-uri-supported" in log.read_bytes():
                return
            time.sleep(0.05)
        raise RuntimeError(f"the printer did not start, see {log}")

    def cards(self, port):
        """The files that the owner agrees to."""
        self.kiosk.mkdir()
        files = {
            "kiosk": PROVIDER.format(name="kiosk", fee=10, price=19, place=(
                f'[target]\nkind = "hot-folder"\ndialect = "dpof"\nfolder = "{self.kiosk}"')),
            "printer": PROVIDER.format(name="printer", fee=0, price=0, place=(
                f'orders_url = "ipp://127.0.0.1:{port}/ipp/print"\n[target]\nkind = "ipp"')),
        }
        for name, text in files.items():
            path = self.folder / f"{name}.toml"
            path.write_text(text, encoding="utf-8")
            yield name, path

    def copies_at(self, provider, size):
        """Files of a size where a provider has them."""
        place = {"kiosk": self.kiosk, "printer": self.printer / "spool"}[provider]
        return [path for path in sorted(place.rglob("*")) if path.is_file() and path.stat().st_size == size]

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
