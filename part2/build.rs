//! Has the programs of this package find the Python that they were built with, wherever that is.

fn main() {
    #[cfg(feature = "python")]
    pyo3_build_config::add_libpython_rpath_link_args();
}
