//! The networks that a generator is trained against, one a file.
