//! The book, in `chapters/`, and the tests that hold it to the programs, in `tests/`. Its chapters are not written yet;
//! the tests hold the README until then.
