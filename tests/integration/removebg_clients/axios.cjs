// remove.bg's documented sample for axios, which sends "Accept: application/json, text/plain, */*" and saves the body.
const fs = require("fs");
const path = require("path");
const axios = require("axios");
const FormData = require("form-data");

const { key, photo, folder, cases } = JSON.parse(fs.readFileSync(0));

async function run() {
    const answers = {};
    for (const [name, options] of Object.entries(cases)) {
        const form = new FormData();
        form.append("image_file", fs.createReadStream(photo), path.basename(photo));
        for (const [field, value] of Object.entries(options)) {
            form.append(field, value);
        }
        const response = await axios({
            method: "post",
            url: "https://api.remove.bg/v1.0/removebg",
            data: form,
            responseType: "arraybuffer",
            headers: { ...form.getHeaders(), "X-Api-Key": key },
            validateStatus: null,
        });
        if (response.status !== 200) {
            answers[name] = { error: response.data.toString() };
            continue;
        }
        fs.writeFileSync(`${folder}/${name}`, response.data);
        answers[name] = response.headers;
    }
    console.log(JSON.stringify(answers));
}

run();
