"""Result objects of one assessment: SR, text SR, secondary capture, segmentation, key objects, FHIR."""
