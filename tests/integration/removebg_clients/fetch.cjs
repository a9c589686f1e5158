// remove.bg's documented sample for fetch, of Node or a browser; backgrounds are sent as files too.
const fs = require("fs");

const { key, photo, background, folder, cases } = JSON.parse(fs.readFileSync(0));
const blob = (path) => new Blob([fs.readFileSync(path)]);

async function run() {
    const answers = {};
    for (const [name, options] of Object.entries(cases)) {
        const form = new FormData();
        form.append("image_file", blob(photo), "photo.jpg");
        for (const [field, value] of Object.entries(options)) {
            form.append(field, value === "FILE" ? blob(background) : value);
        }
        const response = await fetch("https://api.remove.bg/v1.0/removebg", {
            method: "POST",
            headers: { "X-Api-Key": key },
            body: form,
        });
        if (!response.ok) {
            answers[name] = { error: await response.text() };
            continue;
        }
        fs.writeFileSync(`${folder}/${name}`, Buffer.from(await response.arrayBuffer()));
        answers[name] = Object.fromEntries(response.headers);
    }
    console.log(JSON.stringify(answers));
}

run();
