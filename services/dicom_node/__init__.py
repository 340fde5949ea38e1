"""DICOM node: receives head CT from modalities and PACS, submits it to the gateway, and sends the results as DICOM."""
