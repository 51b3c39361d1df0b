"""The functions of the compiled extensions once more, in numba: compiled at the first call and cached."""
