// npm remove.bg: every case as a file; its default call also as base64 and as URL.
const fs = require("fs");
const { removeBackgroundFromImageBase64, removeBackgroundFromImageFile, removeBackgroundFromImageUrl } = require("remove.bg");

const { key, photo, url, folder, cases } = JSON.parse(fs.readFileSync(0));

async function run() {
    const answers = {};
    for (const [name, options] of Object.entries(cases)) {
        const call = { ...options, apiKey: key, outputFile: `${folder}/${name}` };
        if ("crop" in options) {
            call.crop = options.crop === "true";
        }
        if ("add_shadow" in options) {
            call.add_shadow = options.add_shadow === "true";
        }
        answers[name] = await removeBackgroundFromImageFile({ ...call, path: photo }).catch((errors) => ({ errors }));
    }
    const base64img = fs.readFileSync(photo, "base64");
    await removeBackgroundFromImageBase64({ apiKey: key, base64img, outputFile: `${folder}/base64` });
    await removeBackgroundFromImageUrl({ apiKey: key, url, outputFile: `${folder}/url` });
    console.log(JSON.stringify(answers));
}

run();
