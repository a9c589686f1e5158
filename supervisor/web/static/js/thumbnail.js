// Small pictures for the list, decoded and scaled off the main thread.

/** Draw a photo's middle into a square canvas; one that this browser cannot read leaves it empty. */
export async function drawThumbnail(canvas, blob) {
  const side = canvas.width;
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { resizeWidth: side * 2, resizeQuality: 'medium' });
  } catch {
    return;
  }
  const context = canvas.getContext('2d');
  const cut = Math.min(bitmap.width, bitmap.height);
  context.clearRect(0, 0, side, side);
  context.drawImage(bitmap, (bitmap.width - cut) / 2, (bitmap.height - cut) / 2, cut, cut, 0, 0, side, side);
  bitmap.close();
}
