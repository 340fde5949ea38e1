"""Queries of a peer by QIDO-RS or C-FIND: series of a study, and whether an instance is stored."""
