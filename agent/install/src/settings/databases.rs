//! passwd(5), shadow(5), group(5) and gshadow(5) as text. Untouched lines stay as they are.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Databases {
    pub passwd: String,
    pub shadow: String,
    pub group: String,
    pub gshadow: String,
}

/// The fields of each line of `name`.
pub fn lines_of<'a>(text: &'a str, name: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.filter(move |fields| fields[0] == name)
}

pub(super) fn find(text: &str, name: &str) -> Option<Vec<String>> {
    let fields = lines_of(text, name).next()?;
    Some(fields.into_iter().map(str::to_owned).collect())
}

/// Replaces the line with the same name, or appends.
pub(super) fn put(text: &mut String, line: &str) {
    let name = line.split(':').next();
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter_mut().find(|l| l.split(':').next() == name) {
        Some(old) => *old = line,
        None => lines.push(line),
    }
    *text = lines.join("\n") + "\n";
}

/// The third field of all lines: user or group ids.
pub(super) fn ids(text: &str) -> impl Iterator<Item = u32> + '_ {
    text.lines().filter_map(|l| l.split(':').nth(2)?.parse().ok())
}

impl Databases {
    /// Adds `user` to the group, creating it with `gid` if it is missing.
    pub(super) fn join(&mut self, group: &str, user: Option<&str>, gid: u32) {
        add_member(&mut self.group, [group, "x", &gid.to_string()], user);
        if !self.gshadow.is_empty() {
            add_member(&mut self.gshadow, [group, "!", ""], user);
        }
    }
}

/// Adds `user` to the fourth field of a group's line, starting with `fresh` if the line is missing.
fn add_member(text: &mut String, fresh: [&str; 3], user: Option<&str>) {
    let found = find(text, fresh[0]);
    let mut fields = found.unwrap_or_else(|| fresh.map(str::to_owned).to_vec());
    fields.resize(4, String::new());
    let mut members: Vec<&str> = fields[3].split(',').filter(|m| !m.is_empty()).collect();
    if let Some(user) = user.filter(|user| !members.contains(user)) {
        members.push(user);
    }
    let members = members.join(",");
    fields[3] = members;
    put(text, &fields.join(":"));
}
