// CPU milliseconds that sharp takes for an upright preview of 1024 px, in one thread: the
// median over the files named, each made three times. `benches/media.rs` runs it.
const sharp = require('sharp');
sharp.concurrency(1);
sharp.cache(false);

async function preview(file) {
    const before = process.cpuUsage();
    await sharp(file).rotate().resize(1024, 1024, { fit: 'inside' }).jpeg({ quality: 80 }).toBuffer();
    const used = process.cpuUsage(before);
    return (used.user + used.system) / 1000;
}

(async () => {
    const files = process.argv.slice(2);
    await preview(files[0]);
    const times = [];
    for (const file of [...files, ...files, ...files]) times.push(await preview(file));
    times.sort((a, b) => a - b);
    console.log(times[Math.floor(times.length / 2)]);
})();
