"""Tests of downloads, which share a hub and a service."""
