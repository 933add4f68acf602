//! Programs: where they are, and how to get one that is missing.

use std::path::{Path, PathBuf};

/// Packages that are not named like their program.
const PACKAGES: [(&str, &str); 9] = [
    ("ffprobe", "ffmpeg"),
    ("convert", "imagemagick"),
    ("magick", "imagemagick"),
    ("pdftotext", "poppler-utils"),
    ("gs", "ghostscript"),
    ("soffice", "libreoffice"),
    ("psql", "postgresql-client"),
    ("pg_dump", "postgresql-client"),
    ("7z", "p7zip-full"),
];

/// The program's file: the path itself if it is one, else the first of that name in the search path.
pub(crate) fn find(program: &str, search: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_executable(path));
    }
    std::env::split_paths(search).map(|folder| folder.join(program)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// What a person needs to hear when a program is not there.
pub(crate) fn missing(program: &str) -> String {
    if program.contains('/') {
        return format!("there is no program {program}; check the path and that it may be executed");
    }
    let package = PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package);
    format!(
        "the program {program} is not installed; install it on the server (Debian: apt install {package}) and retry"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_how_to_install_it() {
        assert!(missing("espeak-ng").contains("apt install espeak-ng"));
        assert!(missing("ffprobe").contains("apt install ffmpeg"));
        assert!(missing("/opt/x").contains("check the path"));
    }

    #[test]
    fn a_program_is_found_by_name_and_by_path() {
        let search = "/nowhere:/usr/bin:/bin";
        assert!(find("sh", search).is_some() && find("/bin/sh", "").is_some());
        assert_eq!(find("no-such-program", search), None);
        assert_eq!(find("/etc/passwd", search), None);
    }
}
