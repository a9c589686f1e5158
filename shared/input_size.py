"""How large a picture a network wants to see: always one size, or each photo's own."""

# (width, height) in pixels; or the sides that are allowed, for a network that takes photos as they are.
InputSize = tuple[int, int] | range


def input_for(wanted: InputSize, photo: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) in pixels at which a network sees a photo of that (width, height).

    For a range it is the photo's own size, each side rounded to the range's step. A photo that is too large
    or too small is scaled to the range's ends first, in its own proportions as far as both ends allow.
    """
    if isinstance(wanted, tuple):
        return wanted
    least, most = wanted[0], wanted[-1]
    scale = max(min(1, most / max(photo)), least / min(photo))
    width, height = (round(side * scale / wanted.step) * wanted.step for side in photo)
    return min(max(width, least), most), min(max(height, least), most)
