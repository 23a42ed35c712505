//! Names of people, found in texts as whole words and taken out of them.
//!
//! In:  names and any text. Out: the text with other words in their place, or where they stand.
//!
//! `Anna` is in `for Anna's wall` and not in `Susanna` or `Annas`. Large and small letters count as
//! different: `May` is somebody, `may` is not. In scripts that put no space between words (Chinese,
//! Japanese, Korean, Thai and their neighbours) every place counts.

/// What stands in the place of a name: one word, which may be part of a name of a rule or a list.
const STAND_INS: [&str; 2] = ["somebody", "anybody"];

/// Names of people who are to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The longest first: `Anna Berg` is not `Anna` before another word.
    names: Vec<String>,
    stand_in: &'static str,
}

impl Names {
    /// These; empty ones are none.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        names.retain(|name| !name.is_empty());
        names.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        names.dedup();
        let mut all = Self { names, stand_in: "" };
        let [usual, other] = STAND_INS;
        all.stand_in = if all.are_in(usual) { other } else { usual };
        all
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether this is one of them, and nothing else.
    pub fn holds(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether one of them stands in a text.
    pub fn are_in(&self, text: &str) -> bool {
        self.next_in(text, 0).is_some()
    }

    /// Lines of a text in which one of them stands, from 1.
    pub fn lines_of(&self, text: &str) -> Vec<usize> {
        let lines = text.lines().zip(1..).filter(|(line, _)| self.are_in(line));
        lines.map(|(_, number)| number).collect()
    }

    /// The text without them; `None` where none stands in it.
    pub fn out_of(&self, text: &str) -> Option<String> {
        let (mut out, mut done) = (String::new(), 0);
        while let Some((start, name)) = self.next_in(text, done) {
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(self.stand_in);
            done = start + name.len();
        }
        (done > 0).then(|| out + text.get(done..).unwrap_or_default())
    }

    /// Takes them out of every text inside a JSON value; tells whether one stood there. Keys stay.
    pub fn out_of_json(&self, value: &mut serde_json::Value) -> bool {
        use serde_json::Value;
        match value {
            Value::String(text) => self.out_of(text).map(|without| *text = without).is_some(),
            // Every one is looked at, also behind the first.
            Value::Array(all) => all.iter_mut().fold(false, |any, one| self.out_of_json(one) | any),
            Value::Object(all) => {
                all.values_mut().fold(false, |any, one| self.out_of_json(one) | any)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Where the first of them stands at or behind a byte, and which.
    fn next_in(&self, text: &str, from: usize) -> Option<(usize, &str)> {
        let places = self.names.iter().filter_map(|name| Some((place(text, name, from)?, name)));
        // Of two at one place the longer, which is the first of them.
        places.min_by_key(|(start, _)| *start).map(|(start, name)| (start, name.as_str()))
    }
}

/// Where a name stands as a whole word at or behind a byte.
fn place(text: &str, name: &str, from: usize) -> Option<usize> {
    let (first, last) = (name.chars().next()?, name.chars().next_back()?);
    let mut from = from;
    loop {
        let start = from + text.get(from..)?.find(name)?;
        let before = text.get(..start)?.chars().next_back();
        let behind = text.get(start + name.len()..)?.chars().next();
        let joins = |a: Option<char>, b: Option<char>| {
            a.zip(b).is_some_and(|(a, b)| is_of_a_word(a) && is_of_a_word(b))
        };
        if !joins(before, Some(first)) && !joins(Some(last), behind) {
            return Some(start);
        }
        from = start + first.len_utf8();
    }
}

/// Whether a letter or digit is of a script that puts spaces between words.
fn is_of_a_word(c: char) -> bool {
    let is_unspaced = matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}');
    c.is_alphanumeric() && !is_unspaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], text: &str, wanted: Option<&str>) {
        assert_eq!(Names::new(names.to_vec()).out_of(text).as_deref(), wanted, "{text}");
    }

    #[test]
    fn name_is_taken_out_as_a_whole_word_and_other_words_stay() {
        check(&["Anna"], "for Anna's wall", Some("for somebody's wall"));
        check(&["Anna"], "Anna, Anna", Some("somebody, somebody"));
        check(&["Anna"], "has(\"Anna\")", Some("has(\"somebody\")"));
        check(&["Anna"], "prints_Anna-2", Some("prints_somebody-2"));
        for whole in ["", "Susanna.jpg", "Annas", "SAnna", "Annä", "anna", "Anna2"] {
            check(&["Anna"], whole, None);
        }
        check(&["May"], "it may be May", Some("it may be somebody"));
        check(&["Zoë"], "Zoëlle and Zoë", Some("Zoëlle and somebody"));
    }

    #[test]
    fn longer_name_is_taken_first_and_places_are_not_missed() {
        check(&["Anna", "Anna Berg"], "Anna Berg, Anna", Some("somebody, somebody"));
        check(&["a a"], "ba a a", Some("ba somebody"));
        check(&["Oma 👵"], "an Oma 👵!", Some("an somebody!"));
        check(&["花子"], "花子さんの写真", Some("somebodyさんの写真"));
        check(&[""], "nothing", None);
    }

    #[test]
    fn what_stands_in_its_place_does_not_hold_the_name() {
        check(&["somebody"], "for somebody", Some("for anybody"));
    }

    #[test]
    fn lines_and_json_texts_are_found() {
        let names = Names::new(["Anna"]);
        assert_eq!(names.lines_of("a\n[\"Anna\"]\r\nSusanna\n# Anna"), [2, 4]);
        let mut value = serde_json::json!({"Anna": ["x", "of Anna"], "b": {"c": "Anna"}, "d": 1});
        assert!(names.out_of_json(&mut value));
        let wanted = serde_json::json!(
            {"Anna": ["x", "of somebody"], "b": {"c": "somebody"}, "d": 1});
        assert_eq!(value, wanted);
        assert!(!names.out_of_json(&mut value));
    }
}
