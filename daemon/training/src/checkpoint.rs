//! All of a trainer's state, in one file.
