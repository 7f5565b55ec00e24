"""The reports of finished studies as pages of the site: records/NAME/report.html."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every record's report, under the path by which a page of docs/ links to it."""
    docs = Path(config.docs_dir)
    for report in sorted(docs.parent.glob("records/*/plots/report.html")):
        source = f"../{report.relative_to(docs.parent).as_posix()}"
        target = f"records/{report.parts[-3]}/report.html"
        included = {"dest_uri": target, "inclusion": InclusionLevel.INCLUDED}  # though outside
        files.append(File(source, config.docs_dir, config.site_dir, False, **included))
    return files
