"""Workers: processes that hold a model, their supervision and their pools."""
