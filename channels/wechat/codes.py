"""What the errcodes of WeChat and of WeCom mean."""

from __future__ import annotations

from channels.errors import FailureReason
from channels.tables import later, misconfigured, refused, spent

BEING_HANDED_OUT = "41063"

#: of official accounts and mini programs
WEIXIN = {
    "-1": later("it is busy"),
    "40001": spent("it does not accept the access token; a wrong AppSecret looks the same"),
    "40014": spent(),
    "42001": spent("the access token is over"),
    "41001": misconfigured("the access token is missing, which is a mistake of ours"),
    "40013": misconfigured("it does not know the AppID"),
    "40125": misconfigured("the AppSecret is wrong"),
    "40164": misconfigured("our address is not on the account's list of IP addresses"),
    "40037": misconfigured("it does not know the template"),
    "43116": misconfigured("the template is restricted for abuse"),
    "48001": misconfigured("the account may not use this API"),
    "48004": misconfigured("the account is banned from this API"),
    "50002": misconfigured("the account is limited"),
    "40003": refused(FailureReason.address_invalid, "the openid is none of this account"),
    "43004": refused(FailureReason.opted_out, "the person does not follow the account"),
    "43019": refused(FailureReason.opted_out, "the person is on the account's block list"),
    "48002": refused(FailureReason.opted_out, "the person takes no messages of the account"),
    "50005": refused(FailureReason.opted_out, "the person does not follow the account"),
    # of one template alone: the person may be written to with another
    "43101": refused(FailureReason.policy, "the person did not allow this template, or all they allowed is used up"),
    "45015": refused(FailureReason.policy, "the person has not spoken to the account within 48 hours"),
    "45047": refused(FailureReason.policy, "there were too many messages since the person spoke to the account"),
    "43104": refused(FailureReason.content, "the mini program does not belong to the account"),
    "40165": refused(FailureReason.content, "the mini program has no such page"),
    "41030": refused(FailureReason.content, "the mini program has no such page"),
    "45002": refused(FailureReason.content, "the text is too long"),
    "47001": refused(FailureReason.content, "it cannot read the message"),
    "47003": refused(FailureReason.content, "a field of the template may not hold this value"),
    "43117": later("the person got too many messages"),  # one person's: the others need not wait
    "45009": later("the messages of this day are used up"),  # until midnight, which the provider counts
    "45011": later("there were too many requests in this minute", 60.0),
}

WECOM = {
    "-1": later("it is busy"),
    "6000": later("somebody else changes the same"),
    BEING_HANDED_OUT: later("the task is still being handed out"),
    "40014": spent(),
    "42001": spent("the access token is over"),
    "40001": misconfigured("the secret is wrong"),
    "40013": misconfigured("it does not know the corp id"),
    "40056": misconfigured("it does not know the agent id"),
    "41001": misconfigured("the access token is missing, which is a mistake of ours"),
    "48002": misconfigured("the app may not use this API"),
    "60011": misconfigured("the app has no right over this member"),
    "60020": misconfigured("our address is not on the app's list of IP addresses"),
    "93000": misconfigured("the robot's key is wrong, or the robot was removed"),
    "93004": misconfigured("the robot is disabled"),
    "93008": misconfigured("the robot is not in the group"),
    "301002": misconfigured("the app may not do this with this agent id"),
    "40033": refused(FailureReason.content, "the message holds signs it does not take"),
    "40058": refused(FailureReason.content, "a part of the message is not as it should be"),
    "45002": refused(FailureReason.content, "the text is too long"),
    "40096": refused(FailureReason.address_invalid, "this is the id of no customer"),
    "60111": refused(FailureReason.address_unknown, "it knows no such member"),
    "84061": refused(FailureReason.address_unknown, "the customer is nobody's contact"),
    "41048": refused(FailureReason.policy, "there is nobody to send to"),
    "81013": refused(FailureReason.policy, "nobody of those named can be reached by the app"),
    "82001": refused(FailureReason.policy, "nobody of those named can be reached"),
    "45009": later("there were too many requests", 60.0),
    "45033": later("there were too many requests at a time", 5.0),
}
