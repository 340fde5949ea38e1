"""The preprocess service: files in, sorted series and windowed slices out. The only reader of DICOM and PNG."""
