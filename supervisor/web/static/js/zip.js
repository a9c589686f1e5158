// Zip files of results that are compressed already: stored, not compressed again (APPNOTE.TXT 6.3.10 of PKWARE).
const UTF8_NAMES = 0x800;
const VERSION = 20;
const MAX_BYTES = 2 ** 32 - 2 ** 20; // of a zip without the extensions for 64 bits; the margin is for headers
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * Pack files, each `{ name, blob }`, into zips of at most 4 GB. Their names are made unique: "a.png", "a (2).png".
 * Returns blobs that refer to the files' own data, without a copy of it.
 */
export async function zip(files) {
  const zips = [[]];
  let size = 0;
  for (const file of withUniqueNames(files)) {
    size += file.blob.size;
    if (size > MAX_BYTES) {
      zips.push([]);
      size = file.blob.size;
    }
    zips.at(-1).push(file);
  }
  return Promise.all(zips.map(pack));
}

async function pack(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const encoded = new TextEncoder().encode(name);
    const crc = checksum(new Uint8Array(await blob.arrayBuffer())); // one at a time: a hundred results are a gigabyte
    const fields = [crc, blob.size, blob.size];
    parts.push(header(0x04034b50, [VERSION], fields, [encoded.length, 0]), encoded, blob);
    directory.push(header(0x02014b50, [VERSION, VERSION], fields, [encoded.length, 0, 0, 0, 0], [0, offset]), encoded);
    offset += 30 + encoded.length + blob.size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = numbers([0x06054b50], [0, 0, files.length, files.length], [length, offset], [0]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

/** Return a header: signature, versions, flags and no compression, the date, the fields, and what follows them. */
const header = (signature, versions, fields, lengths, rest = []) =>
  numbers([signature], [...versions, UTF8_NAMES, 0, ...dosTime(new Date())], fields, lengths, rest);

/** Return little-endian integers: the arrays are of 32 and 16 bits in turn. */
function numbers(...groups) {
  const view = new DataView(new ArrayBuffer(groups.reduce((sum, group, index) => sum + group.length * (index % 2 ? 2 : 4), 0)));
  let at = 0;
  groups.forEach((group, index) => {
    for (const value of group) {
      if (index % 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += index % 2 ? 2 : 4;
    }
  });
  return new Uint8Array(view.buffer);
}

const dosTime = (date) => [
  (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1),
  ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate(),
];

function checksum(bytes) {
  let crc = 0xffffffff;
  for (let index = 0; index < bytes.length; index += 1) crc = CRC_TABLE[(crc ^ bytes[index]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function withUniqueNames(files) {
  const taken = new Set();
  return files.map(({ name, blob }) => {
    const dot = name.lastIndexOf('.');
    const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
    let unique = name;
    // Without regard to case: Windows and macOS would write one over the other.
    for (let count = 2; taken.has(unique.toLowerCase()); count += 1) unique = `${stem} (${count})${extension}`;
    taken.add(unique.toLowerCase());
    return { name: unique, blob };
  });
}
