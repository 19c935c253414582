"""What the site's builder lacks, a Sphinx extension for each part."""
