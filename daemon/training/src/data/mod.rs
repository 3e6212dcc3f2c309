//! Pictures to train from: which of a folder's are usable, and crops of them.
