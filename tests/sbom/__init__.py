"""`make sbom`: a software bill of materials (CycloneDX) for each dependency group, checked against its lock."""
