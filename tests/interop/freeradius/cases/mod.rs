//! What both servers are asked: people with rows in the database, and one or more requests of each.

mod check;
mod groups;
mod hostile;
mod limits;
mod passwords;
mod reply;

pub(super) use hostile::NAMES;

use super::client::{METHODS, Method, Question};

/// The rows, and the requests in order.
#[derive(Debug, Default)]
pub(crate) struct Book {
    rows: Vec<[String; 5]>,
    members: Vec<(String, String, i32)>,
    sessions: Vec<String>,
    people: usize,
    /// What each request is about, and the request.
    pub questions: Vec<(String, Question)>,
}

/// Somebody in the book, with the rows being written.
#[derive(Debug)]
pub(crate) struct Person<'b> {
    book: &'b mut Book,
    about: String,
    name: String,
}

/// The password of everybody who needs one.
pub(super) const PASSWORD: &str = "wonderland";

impl Book {
    /// All cases.
    pub(super) fn written() -> Book {
        let mut book = Book::default();
        check::write(&mut book);
        reply::write(&mut book);
        groups::write(&mut book);
        passwords::write(&mut book);
        limits::write(&mut book);
        hostile::write(&mut book);
        book
    }

    /// Somebody new, who has no rows yet.
    pub(super) fn person(&mut self, about: impl Into<String>) -> Person<'_> {
        self.people += 1;
        let name = format!("p{:04}", self.people);
        Person { book: self, about: about.into(), name }
    }

    /// Somebody new under a name of their own.
    pub(super) fn named(&mut self, name: &str, about: impl Into<String>) -> Person<'_> {
        self.people += 1;
        Person { book: self, about: about.into(), name: name.to_owned() }
    }

    /// The statements that fill the tables.
    pub(super) fn sql(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let mut sql = String::new();
        for [table, who, attribute, op, value] in &self.rows {
            let subject = if table.contains("group") { "groupname" } else { "username" };
            let values = [who, attribute, op, value].map(|text| quoted(text)).join(", ");
            sql.push_str(&format!(
                "INSERT INTO {table} ({subject}, attribute, op, value) VALUES ({values});\n"
            ));
        }
        for (who, group, priority) in &self.members {
            let (who, group) = (quoted(who), quoted(group));
            sql.push_str(&format!(
                "INSERT INTO radusergroup (username, groupname, priority) VALUES ({who}, {group}, {priority});\n"
            ));
        }
        for (at, who) in self.sessions.iter().enumerate() {
            sql.push_str(&format!(
                "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime) \
                 VALUES ('open-{at}', 'open-{at}', {}, '192.0.2.1', now(), now());\n",
                quoted(who)
            ));
        }
        sql
    }
}

impl Person<'_> {
    /// Their User-Name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A row of radcheck.
    pub(super) fn check(self, attribute: &str, op: &str, value: &str) -> Self {
        self.row("radcheck", None, attribute, op, value)
    }

    /// The row of radcheck that says the password.
    pub(super) fn clear(self) -> Self {
        self.check("Cleartext-Password", ":=", PASSWORD)
    }

    /// A row of radreply.
    pub(super) fn reply(self, attribute: &str, op: &str, value: &str) -> Self {
        self.row("radreply", None, attribute, op, value)
    }

    /// Membership of a group, which is this person's alone whatever it is called.
    pub(super) fn group(self, group: &str, priority: i32) -> Self {
        let group = self.group_name(group);
        self.book.members.push((self.name.clone(), group, priority));
        self
    }

    /// A row of radgroupcheck.
    pub(super) fn group_check(self, group: &str, attribute: &str, op: &str, value: &str) -> Self {
        self.row("radgroupcheck", Some(group), attribute, op, value)
    }

    /// A row of radgroupreply.
    pub(super) fn group_reply(self, group: &str, attribute: &str, op: &str, value: &str) -> Self {
        self.row("radgroupreply", Some(group), attribute, op, value)
    }

    /// A session that is open.
    pub(super) fn session(self) -> Self {
        self.book.sessions.push(self.name.clone());
        self
    }

    /// A request with the password, by PAP.
    pub(super) fn asks(self) -> Self {
        self.asks_with(&[])
    }

    /// The same with further attributes.
    pub(super) fn asks_with(self, more: &[(&str, &str)]) -> Self {
        self.asks_by(Method::Pap, PASSWORD, more)
    }

    /// A request.
    pub(super) fn asks_by(self, method: Method, password: &str, more: &[(&str, &str)]) -> Self {
        let more: Vec<(String, String)> =
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let about = match more.is_empty() {
            true => format!("{}, {method:?} {password:?}", self.about),
            false => format!("{}, {method:?} {password:?} {more:?}", self.about),
        };
        let user = Some(self.name.clone().into_bytes());
        let password = password.to_owned();
        self.book.questions.push((about, Question { user, method, password, more }));
        self
    }

    /// A request by each method, with this password.
    pub(super) fn asks_by_all(mut self, password: &str) -> Self {
        for method in METHODS {
            self = self.asks_by(method, password, &[]);
        }
        self
    }

    fn row(self, table: &str, group: Option<&str>, attribute: &str, op: &str, value: &str) -> Self {
        let who = match group {
            Some(group) => self.group_name(group),
            None => self.name.clone(),
        };
        self.book.rows.push([table.to_owned(), who, attribute.to_owned(), op.to_owned(), value.to_owned()]);
        self
    }

    fn group_name(&self, group: &str) -> String {
        format!("{}-{group}", self.name)
    }
}
