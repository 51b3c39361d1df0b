"""Each library with several objectives, behind the same two calls."""
