<?php
// Remove a photo's background in one request: php examples/remove.php photo.jpg cutout.png [http://127.0.0.1:6905]

[, $photo, $cutout] = $argv;
$server = $argv[3] ?? 'http://127.0.0.1:6905';

$request = curl_init("$server/api/remove");
curl_setopt_array($request, [
    CURLOPT_POSTFIELDS => ['file' => new CURLFile($photo)],
    CURLOPT_RETURNTRANSFER => true,
]);
$answer = curl_exec($request);

if ($answer === false || curl_getinfo($request, CURLINFO_RESPONSE_CODE) !== 200) {
    fwrite(STDERR, (curl_error($request) ?: json_decode($answer)->detail) . "\n");
    exit(1);
}
file_put_contents($cutout, $answer);
