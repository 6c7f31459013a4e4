//! passwd(5), shadow(5), group(5) and gshadow(5) as texts. Lines that are not touched stay as they are.

/// The four texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Databases {
    pub passwd: String,
    pub shadow: String,
    pub group: String,
    pub gshadow: String,
}

/// The fields of `name`'s line.
pub(super) fn find<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    text.lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|f| f[0] == name)
}

/// Puts a line in the place of `name`'s, or at the end.
pub(super) fn put(text: &mut String, fields: &[&str]) {
    let (name, line) = (fields[0], fields.join(":"));
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter_mut().find(|l| l.split(':').next() == Some(name)) {
        Some(old) => *old = &line,
        None => lines.push(&line),
    }
    *text = lines.join("\n") + "\n";
}

/// The numbers in the third field of all lines: ids of users or groups.
pub(super) fn ids(text: &str) -> impl Iterator<Item = u32> + '_ {
    text.lines().filter_map(|l| l.split(':').nth(2)?.parse().ok())
}

impl Databases {
    /// Adds `user` to the group, which is made with `gid` when it is missing.
    pub(super) fn join(&mut self, group: &str, user: Option<&str>, gid: u32) {
        let found = find(&self.group, group).map(|f| f.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let mut fields =
            found.unwrap_or_else(|| vec![group.into(), "x".into(), gid.to_string(), String::new()]);
        fields.resize(4, String::new());
        let members = with_member(&fields[3], user);
        put(&mut self.group, &[&fields[0], &fields[1], &fields[2], &members]);
        if !self.gshadow.is_empty() {
            let found =
                find(&self.gshadow, group).map(|f| f.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
            let mut fields =
                found.unwrap_or_else(|| vec![group.into(), "!".into(), String::new(), String::new()]);
            fields.resize(4, String::new());
            let members = with_member(&fields[3], user);
            put(&mut self.gshadow, &[&fields[0], &fields[1], &fields[2], &members]);
        }
    }
}

fn with_member(members: &str, user: Option<&str>) -> String {
    let mut list: Vec<&str> = members.split(',').filter(|m| !m.is_empty()).collect();
    if let Some(user) = user.filter(|u| !list.contains(u)) {
        list.push(user);
    }
    list.join(",")
}
