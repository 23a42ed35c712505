//! Writes whose photo a preview shows, as an XMP packet that common programs display.
//!
//! In:  the owner's electronic address and name, the photo's id.
//! Out: UTF-8 text of the packet.
//!
//! The address stands where programs look for it: `xmpRights:WebStatement` and, by its
//! kind, the e-mail or web field of the IPTC contact. The id is the document's identity
//! (`dc:identifier`, `xmpMM:DocumentID`).

use super::Imprint;

/// The packet for one preview.
pub fn packet(imprint: &Imprint) -> Vec<u8> {
    let address = escape(&imprint.owner_address);
    let name = escape(&imprint.owner_name);
    let photo_id = escape(&imprint.photo_id);
    let contact = match imprint.owner_address.strip_prefix("mailto:") {
        Some(mail) => {
            format!("<Iptc4xmpCore:CiEmailWork>{}</Iptc4xmpCore:CiEmailWork>", escape(mail))
        }
        None => format!("<Iptc4xmpCore:CiUrlWork>{address}</Iptc4xmpCore:CiUrlWork>"),
    };
    // Without a name the address stands for the owner.
    let creator = if name.is_empty() { &address } else { &name };
    format!(
        r#"<?xpacket begin="{bom}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"
 xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
 xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/">
<dc:creator><rdf:Seq><rdf:li>{creator}</rdf:li></rdf:Seq></dc:creator>
<dc:identifier>{photo_id}</dc:identifier>
<xmpMM:DocumentID>{photo_id}</xmpMM:DocumentID>
<xmpRights:Marked>True</xmpRights:Marked>
<xmpRights:Owner><rdf:Bag><rdf:li>{creator}</rdf:li></rdf:Bag></xmpRights:Owner>
<xmpRights:WebStatement>{address}</xmpRights:WebStatement>
<Iptc4xmpCore:CreatorContactInfo rdf:parseType="Resource">{contact}</Iptc4xmpCore:CreatorContactInfo>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"#,
        bom = '\u{FEFF}',
    )
    .into_bytes()
}

/// Makes any text safe inside an element. Characters that XML cannot hold are left out.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' | '\n' | '\r' => safe.push(' '),
            '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}' => {}
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(address: &str, name: &str) -> String {
        let imprint = Imprint {
            owner_address: address.to_owned(),
            owner_name: name.to_owned(),
            photo_id: "7f3a".to_owned(),
        };
        String::from_utf8(packet(&imprint)).expect("UTF-8")
    }

    #[test]
    fn address_stands_in_the_field_of_its_kind() {
        let mail = text("mailto:anna@example.org", "Anna");
        assert!(mail.contains("<Iptc4xmpCore:CiEmailWork>anna@example.org<"), "{mail}");
        assert!(mail.contains("<xmpRights:WebStatement>mailto:anna@example.org<"), "{mail}");
        let web = text("https://example.org/?a=1&b=2", "");
        assert!(web.contains("<Iptc4xmpCore:CiUrlWork>https://example.org/?a=1&amp;b=2<"), "{web}");
    }

    #[test]
    fn name_cannot_break_out_of_its_element() {
        let packet = text("mailto:a@b.c", "</rdf:li><evil/>\u{0}&\"");
        assert!(packet.contains("&lt;/rdf:li&gt;&lt;evil/&gt;&amp;&quot;"), "{packet}");
        assert!(!packet.contains("<evil"), "{packet}");
    }

    proptest! {
        #[test]
        fn any_text_keeps_the_packet_well_formed(name in ".{0,40}", address in ".{0,40}") {
            let packet = text(&address, &name);
            let plain = text("https://a", "a");
            let count = |text: &str, letter: char| text.matches(letter).count();
            for letter in ['<', '>'] {
                prop_assert_eq!(count(&packet, letter), count(&plain, letter));
            }
        }
    }
}
