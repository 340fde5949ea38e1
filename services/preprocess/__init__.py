"""Files in, sorted series and windowed slices out. The only part that opens DICOM and PNG."""
