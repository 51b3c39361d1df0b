"""Each library that stops trainings early, behind the same three calls."""
