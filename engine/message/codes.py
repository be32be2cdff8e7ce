"""Every code a Problem of a text can carry, with the sentence the documentation lists it by.

Mistakes in front matter carry the codes of YAML and of keys (`engine.journey.codes`).
"""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    # the files
    "unknown-channel-file": "A file whose name does not begin with a channel.",
    "wrong-extension": "A file whose ending does not belong to its channel.",
    "bad-locale-name": "A locale that does not exist, or is not written like zh-CN.",
    "bad-message-name": "A folder whose name cannot be that of a message.",
    "stray-file": "A file beside the folders of messages. A warning.",
    "two-formats": "The same mail as MJML and as HTML, or the same message of WeChat as a template and as words.",
    "text-without-mail": "A text part of a mail that is not there.",
    "not-utf8": "A file that is not UTF-8 text.",
    "unreadable-file": "A file that cannot be opened.",
    "too-large": "A file larger than 256 KB, with more than 2,000 tags, or with a tag longer than 5,000 characters.",
    "outside-folder": "A file or layout outside of the folder of texts.",
    # front matter
    "bad-front-matter": "Front matter that is opened and never closed.",
    "missing-subject": "A mail without a subject.",
    "missing-title": "A push message without a title.",
    "empty-text": "A text that says nothing.",
    "missing-kind": "A template of WeChat that is neither called a notice nor a promotion.",
    "bad-wechat-field": "A field that WeChat's templates do not have.",
    "missing-parameter": "A parameter that the approved wording names and the text does not give.",
    "unknown-parameter": "A parameter that the approved wording does not name.",
    "unknown-wording": "A provider's template of which nobody here knows what it says. A warning.",
    "wording-differs": "A wording or kind that config.yaml has otherwise.",
    "mixed-wording": "Places of an approved wording where they mean nothing: beside tags, or without a template.",
    # the language of texts
    "template-syntax": "A tag that is not written as it must be, or not closed.",
    "tag-not-allowed": "A tag of Jinja or MJML that texts do not have.",
    "undefined-name": "A name that texts do not know, or a value this person does not have.",
    "unknown-filter": "A filter that does not exist.",
    "unknown-test": "A test, behind `is`, that does not exist.",
    "bad-value": "A value that cannot be written this way.",
    "too-much": "A text that loops too long or grows too large.",
    "too-deep-inside": "Blocks, brackets or values too deep inside each other.",
    "not-allowed": "A call that texts may not make.",
    "bad-answer": "An answer that is not one plain word.",
    # layouts and translations
    "unknown-layout": "A layout that is not there.",
    "unknown-block": "A block that the layout does not have.",
    "lost-text": "Something beside the blocks of a text that extends a layout: it would never be shown.",
    "layout-loop": "A layout that leads back to itself.",
    "bad-catalogue": "A gettext catalogue that cannot be read, or a translation that names other values.",
    "missing-translation": "A phrase of a layout that is not translated into the text's locale. A warning.",
    "missing-plural": "A plural with two forms, in a language that counts in more. A warning.",
    # mails
    "missing-unsubscribe": "A marketing mail that does not show links.unsubscribe.",
    "purpose-mismatch": "A mail that calls itself transactional, sent for a marketing topic.",
    "bad-link-scheme": "A link that does not begin with https:, http:, mailto: or tel:.",
    "script-in-mail": "A script, a frame or the like: mail programs remove them.",
    "html-too-deep": "Elements more than 200 deep inside each other.",
    "tag-in-comment": "A tag inside an HTML comment.",
    "tag-between-attributes": "A tag between the attributes of an element.",
    "lost-tag": "A tag at a place of which MJML keeps nothing.",
    "control-character": "A line break or another invisible character that would end up in a header.",
    "html-unknown-tag": "An element that HTML does not have.",
    "html-unknown-attribute": "An attribute that is one slip of the pen away from a real one.",
    "html-unclosed": "An element of HTML that is not closed, closed twice or across another. In plain HTML a warning.",
    "html-broken": "A tag that begins and does not end: a quote or > is missing.",
    "mjml-unknown-tag": "A component that MJML does not have.",
    "mjml-unknown-attribute": "An attribute that a component does not have.",
    "mjml-misplaced": "A component or text where MJML does not allow it.",
    "mjml-unclosed": "A component that is not closed, or closed twice.",
    "crossing-block": "An if or for that begins in one component of MJML and ends in another.",
    "mjml-broken": "Something that is no MJML.",
    "mjml-no-root": "A text of MJML without <mjml>.",
    # what a phone or provider would refuse
    "costly-sign": "A sign that makes an SMS more than twice as large, and a plain one would do. A warning.",
    "too-long": "A subject, title, field or SMS longer than is shown or sent.",
    "empty-value": "A field of WeChat that is empty.",
    "bad-wechat-value": "A field of WeChat that holds what its type does not allow.",
    "link-in-parameter": "A link in a parameter of an approved SMS.",
    "kind-purpose": "A provider's template for notices, sent for a marketing topic.",
    "missing-opt-out": "A marketing SMS that does not say how to stop them. A warning.",
}
"""Code to sentence, in the order of the documentation."""
