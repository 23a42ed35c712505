//! Job tickets as a reader of XML sees them, and as the public schema does where it is present.

use std::fs;

use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::*;
use crate::orders::target::hot_folder::tests::{Shelf, line, parcel};

fn recipient() -> Recipient {
    Recipient {
        name: "Zo\u{eb} & \"Co\" <Ltd>".to_owned(),
        line1: "1 Example Street".to_owned(),
        line2: Some("2nd floor".to_owned()),
        postal_code: "SW1A 1AA".to_owned(),
        town: "London".to_owned(),
        state: None,
        country_code: "GB".to_owned(),
        email: Some("zoe@example.org".to_owned()),
        phone: None,
    }
}

/// A parcel with all that a ticket can say.
fn full() -> Parcel {
    let mut parcel = parcel(vec![line("IMG_0412.jpg", 2, "PH-4x6"), line("b.jpg", 1, "PH-5x7")]);
    parcel.recipient = Some(recipient());
    parcel.delivery = Some("Next Day".to_owned());
    if let Some((_, product)) = &mut parcel.lines[0].product {
        product.attributes.insert("border".to_owned(), "none".to_owned());
    }
    parcel.lines[1].members[0].grant = "a.grant".to_owned();
    parcel
}

fn child<'a, 'b>(node: Node<'a, 'b>, path: &str) -> Node<'a, 'b> {
    path.split('/').fold(node, |node, name| {
        node.children().find(|child| child.has_tag_name(name)).unwrap_or_else(|| panic!("{path}"))
    })
}

fn resources<'a, 'b>(root: Node<'a, 'b>, name: &str) -> Vec<Node<'a, 'b>> {
    let set = root.children().find(|node| node.attribute("Name") == Some(name));
    set.expect(name).children().filter(Node::is_element).collect()
}

#[test]
fn ticket_says_what_to_make_where_to_fetch_it_and_where_it_goes() {
    let parcel = full();
    let text = ticket(&parcel, &Shelf::default()).expect("a ticket");
    let document = Document::parse(&text).expect("XML");
    let root = document.root_element();
    assert_eq!(root.tag_name().namespace(), Some("http://www.CIP4.org/JDFSchema_2_0"));
    for (name, value) in
        [("Version", "2.2"), ("JobID", parcel.parcel_key.as_str()), ("Types", "Product")]
    {
        assert_eq!(root.attribute(name), Some(value));
    }
    let products: Vec<Node<'_, '_>> =
        child(root, "ProductList").children().filter(Node::is_element).collect();
    assert_eq!(products.len(), 2);
    for (name, value) in [
        ("ID", "P1"),
        ("Amount", "2"),
        ("DescriptiveName", "print-10x15"),
        ("ProductTypeDetails", "PH-4x6"),
        ("ExternalID", parcel.lines[0].order_key.as_str()),
    ] {
        assert_eq!(products[0].attribute(name), Some(value));
    }
    assert_eq!(child(products[0], "GeneralID").attribute("IDValue"), Some("none"));
    let intents: Vec<Node<'_, '_>> =
        products[0].children().filter(|node| node.has_tag_name("Intent")).collect();
    let media = child(intents[0], "MediaIntent");
    assert_eq!(
        (media.attribute("MediaQuality"), media.attribute("MediaType")),
        (Some("glossy"), Some("Paper"))
    );
    assert_eq!(child(intents[1], "LayoutIntent").attribute("Dimensions"), Some("289.13 430.87"));

    let photos = resources(root, "RunList");
    for (index, photo) in photos.iter().enumerate() {
        let member = &parcel.lines[index].members[0];
        assert_eq!(child(*photo, "Part").attribute("ProductPart"), products[index].attribute("ID"));
        let file = child(*photo, "RunList/FileSpec");
        for (name, value) in [
            ("URL", member.url.clone()),
            ("MimeType", member.media_type.clone()),
            ("FileSize", member.bytes_count.to_string()),
            ("UserFileName", member.name.clone()),
        ] {
            assert_eq!(file.attribute(name), Some(value.as_str()));
        }
        assert_eq!(file.attribute((OURS, "SHA256")), Some(member.sha256.to_string().as_str()));
    }
    // As `md5sum` says of the same bytes.
    let file = child(photos[0], "RunList/FileSpec");
    assert_eq!(file.attribute("CheckSum"), Some("ebd887e1747ad46b76b1044e6fedcc99"));
    assert!(file.children().all(|node| !node.is_element()), "no header without a grant");
    let header = child(photos[1], "RunList/FileSpec/NetworkHeader");
    assert_eq!(header.attribute("Value"), Some("DPoP a.grant"));

    let delivery = child(resources(root, "DeliveryParams")[0], "DeliveryParams");
    assert_eq!(delivery.attribute("Method"), Some("Next_Day"));
    let items: Vec<_> = delivery.children().filter(Node::is_element).collect();
    let amounts: Vec<_> =
        items.iter().map(|item| (item.attribute("ItemRef"), item.attribute("Amount"))).collect();
    assert_eq!(amounts, [(Some("P1"), Some("2")), (Some("P2"), Some("1"))]);
    let contact = child(resources(root, "Contact")[0], "Contact");
    assert_eq!(child(contact, "Address").attribute("CountryCode"), Some("GB"));
    assert_eq!(child(contact, "ComChannel").attribute("Locator"), Some("zoe@example.org"));
    assert_eq!(child(contact, "Person").attribute("FamilyName"), Some("Zo\u{eb} & \"Co\" <Ltd>"));
}

#[test]
fn ticket_is_put_into_the_folder_whole_and_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = Spec { folder: folder.path().to_owned(), ..Spec::default() };
    assert_eq!(spec.check(), Ok(()));
    let (parcel, target) = (full(), Xjdf::new(&spec));
    assert_eq!(target.find(&parcel), Ok(Search::SendAgain));
    let taken = target.send(&parcel, &Shelf::default()).expect("taken");
    assert_eq!((taken.progress.state, taken.progress.look_again_s), (OrderState::Accepted, None));
    let path = folder.path().join(format!("{}.xjdf", parcel.parcel_key));
    let text = fs::read_to_string(&path).expect("a ticket");
    assert_eq!(text, ticket(&parcel, &Shelf::default()).expect("a ticket"));
    // Whoever takes tickets removes them; it is not put there again.
    fs::remove_file(&path).expect("removed");
    assert!(matches!(target.find(&parcel), Ok(Search::Found(_))));
    target.send(&parcel, &Shelf::default()).expect("taken");
    assert!(!path.exists());
}

#[test]
fn photo_that_is_only_shared_is_refused() {
    let mut parcel = full();
    parcel.lines[0].product = None;
    let error = ticket(&parcel, &Shelf::default()).expect_err("a setback");
    assert_eq!(error.fate, crate::orders::target::Fate::Refused);
}

#[test]
fn ticket_is_valid_by_the_public_schema() {
    #[expect(clippy::disallowed_methods, reason = "tests have no config")]
    let named = std::env::var_os("SIGNET_XJDF_XSD").map(PathBuf::from);
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/reference/evidence/jdfschema_2_2.xsd");
    let Some(schema) = named.or_else(|| Some(shared).filter(|path| path.exists())) else {
        println!("skipped: no XJDF schema, name one in SIGNET_XJDF_XSD");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ticket.xjdf");
    fs::write(&path, ticket(&full(), &Shelf::default()).expect("a ticket")).expect("written");
    let checked = std::process::Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .args([&schema, &path])
        .output();
    match checked {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(_) => println!("skipped: no `xmllint` here"),
    }
}

proptest! {
    #[test]
    fn whatever_people_and_photos_are_called_the_ticket_is_xml(
        texts in proptest::collection::vec(".{0,40}", 8),
    ) {
        let mut parcel = full();
        let text = |index: usize| texts[index].clone();
        parcel.sender.name = text(0);
        parcel.delivery = Some(text(1));
        parcel.lines[0].members[0].media_type = text(2);
        parcel.lines[1].members[0].grant = text(3);
        let all = Recipient { name: text(4), line1: text(5), country_code: text(6), ..recipient() };
        parcel.recipient = Some(all);
        if let Some((_, product)) = &mut parcel.lines[0].product {
            product.attributes.insert(text(7), text(0));
            product.finish = Some(text(5));
        }
        let text = ticket(&parcel, &Shelf::default()).expect("a ticket");
        let document = Document::parse(&text).expect("XML");
        let root = document.root_element();
        let contact = child(resources(root, "Contact")[0], "Contact");
        let said = child(contact, "Person").attribute("FamilyName").expect("a name");
        let is_blank = |c: char| matches!(c, '\t' | '\n' | '\r');
        let is_sayable = |c: &char| !c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
        let wanted: String =
            texts[4].chars().map(|c| if is_blank(c) { ' ' } else { c }).filter(is_sayable).collect();
        prop_assert_eq!(said, wanted);
    }
}
