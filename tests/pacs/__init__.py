"""Orthanc as the PACS beside the node: for the demo, end-to-end tests and the kill drill."""
