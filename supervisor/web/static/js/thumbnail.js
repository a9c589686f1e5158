// Thumbnails of the photo list, decoded and scaled off the main thread.

/** Draw the centre square of an image into a canvas; nothing if the browser cannot decode it. */
export async function drawThumbnail(canvas, blob) {
  const side = canvas.width;
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { resizeWidth: side * 2, resizeQuality: 'medium' });
  } catch {
    return;
  }
  const context = canvas.getContext('2d');
  const crop = Math.min(bitmap.width, bitmap.height);
  const [left, top] = [(bitmap.width - crop) / 2, (bitmap.height - crop) / 2];
  context.clearRect(0, 0, side, side);
  context.drawImage(bitmap, left, top, crop, crop, 0, 0, side, side);
  bitmap.close();
}
