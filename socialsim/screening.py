"""Screening without an LM: length, sensitive and irrelevant posts by rule, duplicates.

The paper filters out "irrelevant and sensitive topics like suicide, racial discrimination, and
professional medical treatment" and descriptions under 65 words. The rules here look for literal
statements and are written to leave figures of speech alone ("this job is killing me"); what needs
judgement is left to the LM that screens after them. Medical rules are about treatment itself and the
writer's own: that a parent is ill or has surgery is a family matter and passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

from socialsim.duplicates import Deduplicator
from socialsim.schema import Post, Rejection
from socialsim.text import count_words, is_chinese, words

MIN_WORDS: Final = 65
MAX_CHARACTERS: Final = 20_000
_MIN_DISTINCT: Final = 15  # different words (Chinese: characters) a real description of 65 words has at least


class Reason(StrEnum):
    """Why intake sets a post aside, in the order of the tests."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SELF_HARM = "sensitive_self_harm"
    RACE = "sensitive_race"
    MEDICAL = "sensitive_medical"
    IRRELEVANT = "irrelevant"
    DUPLICATE = "duplicate"
    UNSCREENED = "unscreened"
    UNTRANSLATABLE = "untranslatable"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


_SELF = r"(?:(?:my|him|her|your|them|our) ?sel(?:f|ves)|myslef)"
_INTENT = r"(?:think\w*|thoughts?|consider\w*|plan\w*|feel(?:ing)? like|felt like|idea|urge|threat\w*|tr(?:y|ied|ying))"
_WANT = r"(?:want(?:s|ed)?|wanting|going|threaten\w*|tr(?:y|ied|ying)|plan(?:s|ned|ning)?)"
_NOT = r"(?<!n't )(?<!not )(?<!never )"
_HEIGHT = r"(?:a|the|my|our|that|this) (?:\w+ )?(?:bridge|roof|rooftop|building|balcony|window|cliff|tower)\b"
_KIN = "妈爸爷奶外公婆叔姨姑舅弟妹哥姐儿女孩老朋同男家"  # 我妈, 我老公, 我朋友: not the writer

_SELF_HARM = _any(
    r"\b(?<!career )(?<!social )(?<!political )(?<!professional )(?<!commercial )suicid(?:e|al|ality)\b(?! squad)",
    rf"\b{_INTENT}(?: of| about| to| on)? kill(?:ing)? {_SELF}\b",
    rf"\b{_WANT} to kill {_SELF}\b",
    rf"\bkill(?:ing|ed)? {_SELF}\b(?! (?:over|for|to|at|with|trying|working|studying|laughing|doing))",
    r"\bself[- ]?harm(?:s|ed|ing)?\b|\bself[- ]injur\w+",
    rf"\b{_WANT} to (?:hurt|harm|cut|burn) {_SELF}\b(?! (?:off|out|down|loose|free|some|a|an|in)\b)",
    rf"\b{_INTENT}(?: of| about)? (?:hurting|harming|cutting) {_SELF}\b(?! (?:off|out|down|loose|free|some)\b)",
    rf"\b(?:started|began|kept|keep|been|stop(?:ped)?|used to) (?:cut(?:ting)?|burning|hurting) {_SELF}\b"
    r"(?! (?:off|out|down|loose|free|some|a|an|on|while|in|by|shaving)\b)",
    r"\b(?:cut|cutting|slit|slitting|slash(?:ed|ing)?) (?:my|his|her|their) (?:own )?wrists?\b",
    r"\bcutting (?:on )?my (?:own )?(?:arms?|thighs?|legs?|skin)\b",
    r"\bend(?:s|ed|ing)? (?:my|his|her|their) (?:own )?li(?:fe|ves)\b(?! (?:as|in|with)\b)|\bend(?:ing)? it all\b",
    r"\b(?:tak(?:e|es|en|ing)|took) (?:my|his|her|their) own li(?:fe|ves)\b",
    rf"\b{_NOT}want(?:s|ed|ing)? to die\b(?! (?:of|from|laughing|with|inside|a little))|\bwish I (?:was|were) dead\b",
    r"\bbetter off dead\b|\bno (?:reason|point) (?:to live|in living|to keep living)\b",
    r"\b(?:don't|do not|didn't|no longer) want to (?:live any ?more|be alive|keep living|go on living)\b",
    rf"\bhang(?:ed|ing)? {_SELF}\b(?! (?:up|out))",
    rf"\b(?:to|about|of) jump(?:ing)? (?:off|from|out of) {_HEIGHT}",
    r"\boverdos(?:e|ed|ing)\b(?! (?:of|on) (?:sugar|coffee|caffeine|chocolate|information|news|work|advice|series))",
    r"(?<!职场)(?<!社交)自杀(?!式)|自残|自伤|自尽|轻生|寻短见|割腕|割脉|上吊|服毒|遗书",
    r"跳楼(?![价机大甩清])|(?<!不)想死(?!你|您|他|她|它|我|咱|爸|妈|家)|(?:我|只|就|真|很|都)想去死|一死了之|以死相[逼胁]",
    r"不想活(?![得成在的动跃出])|(?<![店司业厂摊])活不下去|结束(?:自己|我|他|她)?的?(?:生命|性命)|了结(?:自己|生命|此生)",
    r"死了(?:算了|一了百了|就解脱)",
)
_GROUP = r"(?:black|asian|african|chinese|indian|latin[oa]|arab|jewish|roma|mixed[- ]race|white)"
_RACE = _any(
    r"\bracis(?:t|ts|m)\b|\bn[- ]word\b|\bnigg(?:er|a)s?\b|\bwhite suprem\w+|\bxenophob\w+|\banti-?semiti\w+",
    r"\bracial(?:ly)? (?:discriminat\w+|slurs?|abus\w+|insults?|profil\w+|prejudice\w*|hatred|bias|motivated|jokes?)",
    r"\bracial (?:harassment|remarks?|comments?|violence|attacks?)\b",
    r"\bgo back to (?:your|my|his|her) (?:own )?country\b",
    r"\b(?:because of|for|about) (?:my|his|her|our|their) "
    r"(?:race|ethnicity|skin colou?r|colou?r of (?:my|his|her) skin)\b"
    r"(?! (?:on|at|this|next|tomorrow|day|time|results?|training|number|bib|plan|track|bike|car|horse|in|was|is)\b)",
    rf"\b(?:discriminat|bull|mock|insult|refus|attack|spat|humiliat|reject)\w*\b[^.!?]{{0,60}}"
    rf"\b(?:because|for)\b[^.!?]{{0,12}}\b(?:being|am|was|is|are|I'm|he's|she's|we're) (?:an? )?{_GROUP}\b",
    r"种族(?:歧视|主义|仇恨|迫害|清洗|灭绝|偏见)|黑鬼|支那猪",
    r"(?:歧视|辱骂|仇视|侮辱|看不起)[^。！？]{0,8}(?:黑人|黑种人|黄种人|有色人种|少数民族|肤色)",
    r"(?:黑人|黑种人|黄种人|有色人种|少数民族|肤色)[^。！？]{0,10}(?:歧视|辱骂|侮辱|看不起|欺负)",
)
_ILLNESS = r"(?:抑郁|焦虑症|双相|躁郁|强迫症|精神分裂|多动症|边缘型|创伤后)"
_MEDICINE = r"(?:medications?|meds|antidepressants?|sleeping pills|mood stabili[sz]ers?)"
_FINITE = (
    r"(?:'m|'ve|'d|'ll| am| was| have| had| been| will| should| just| still| do| don't| didn't| never| can't| not| to)"
)
_MEDICAL = _any(
    r"\b\d+(?:\.\d+)? ?(?:mg|mcg|milligrams?|micrograms?)\b|\b(?:my|his|her|their|the) dosage\b",
    r"\b(?:sertraline|zoloft|prozac|fluoxetine|lexapro|escitalopram|citalopram|paroxetine|paxil|venlafaxine|effexor|"
    r"duloxetine|cymbalta|bupropion|wellbutrin|mirtazapine|trazodone|xanax|alprazolam|lorazepam|ativan|diazepam|valium|"
    r"clonazepam|klonopin|quetiapine|seroquel|olanzapine|risperidone|lamotrigine|methylphenidate|ritalin|adderall|"
    r"concerta|lithium(?! batter| ion|-ion| mine)|ssris?|snris?|benzodiazepines?|antipsychotics?)\b",
    rf"\bI{_FINITE}{{0,4}} (?:on|off|take|taking|took|taken|stop|stopped|start|started|begun|began|quit|need|tried|"
    rf"skip|skipped|forgot|went|going|put on)(?: (?!his|her|their|your|other)\w+){{0,2}} {_MEDICINE}\b",
    rf"\bmy {_MEDICINE}\b",
    r"\bside effects? (?:of|from) (?:\w+ )?(?:medic\w+|meds|drugs?|pills?|tablets?|treatment|chemo\w*)\b",
    r"\bprescri(?:bed?|bes|bing) (?:me|him|her|us|them|my)\b",
    rf"\bI{_FINITE}{{1,3}} prescribed\b|\bmy prescription(?! glasses)",
    rf"\bI{_FINITE}{{0,3}}(?: (?:recently|finally|just|got|officially)){{0,2}} diagnosed (?:with|as)\b",
    r"\bmy diagnosis\b",
    r"\b(?:can|could|please|should) (?:(?:you|anyone|someone|somebody) )?diagnose (?:me|this|my)\b",
    rf"\bI{_FINITE}{{0,3}} (?:need|needed|have|had|having|undergo|underwent|get|getting|want|scheduled for|waiting for|"
    r"recovering from|facing)(?: (?!his|her|their)\w+){0,2} surgery\b|(?<!at )(?<!in )\bmy (?:\w+ )?surgery\b",
    r"\bmy (?:knee|hip|back|heart|eye|spine|spinal|brain|hernia|bypass|thyroid) operation\b",
    r"舍曲林|氟西汀|帕罗西汀|西酞普兰|百忧解|阿普唑仑|劳拉西泮|奥氮平|利培酮|喹硫平|碳酸锂|文拉法辛|度洛西汀|米氮平|"
    r"黛力新|专注达|安眠药|抗(?:抑郁|焦虑|精神病)的?药|精神类药",
    r"[停换减加]了?药(?!店|房|品)|药量|药物?剂量|药物?的?副作用|(?:吃|用|服用|有)(?:什么|啥|哪种|哪些)药|(?:医生|给我)开了?[^，。！？]{0,4}药",
    rf"确诊(?:为|了|是|患有?|得了?)*(?:[轻中重]+度)?{_ILLNESS}|(?:帮我|能不能|可以)诊断|诊断(?:书|为|结果)",
    rf"(?:我|自己)(?![{_KIN}])[^，。！？]{{0,6}}(?:做|动|需要|接受)[了过个]?[^，。！？]{{0,4}}(?<!台)(?<!场)手术|[该要]不[该要]做手术",
)
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
# One such phrase may be told of in a real post; two different ones make an advert or a job offer.
_OFFER = _any(
    r"\b(?:buy|order|apply|subscribe|register|sign up|book) (?:now|today)\b",
    r"\bclick (?:here|the link|on the link|below)\b",
    r"\blimited[- ]time offer\b|\b(?:discount|promo|coupon) code\b|\bfree shipping\b|\b\d+% off\b",
    r"\bmoney[- ]back guarantee\b",
    r"\b(?:dm|whatsapp|telegram) (?:me|us)\b|\bvisit our\b|\bfollow us\b|\bcontact us\b",
    r"\bour (?:store|products?|customers)\b",
    r"\bwe are (?:now )?hiring\b|\bnow hiring\b|\bsend (?:your|a|us your) (?:cv|r[eé]sum[eé])\b|\bcompetitive salary\b",
    r"\bjob requirements?\b|\bresponsibilities include\b|\bideal candidate\b|\bearn (?:up to )?\$\d+",
    r"加我?(?:微信|薇信|v信|vx|qq)[:：号]|扫码|点击(?:链接|下方)|限时(?:优惠|特价|抢购|折扣)|包邮|优惠[券码]|关注(?:我们|公众号)|"
    r"诚聘|急聘|诚招|招聘(?:岗位|启事|信息|要求)|岗位职责|任职要求|薪资待遇|五险一金|投递?简历至|有意者|联系电话|月入过万|刷单|代写",
)
_CODE_LINE = re.compile(
    r"^\s*(?:def |class \w+[:({]|import \w|from \w+ import|#include|public |private |function |const |let |var |"
    r"return\b.*;|(?:if|for|while) ?\(|SELECT .* FROM|</?\w+[^>]*>|[}\])]+;?$|.*[;{]$)"
)


def reject(post: Post, reason: Reason, detail: str = "", trace: Sequence[str] = ()) -> Rejection:
    """The rejection of a post by intake."""
    return Rejection(id=post.id, stage="intake", reason=reason, detail=detail, trace=tuple(trace), post=post)


def screen_by_rule(
    posts: Iterable[Post], min_words: int = MIN_WORDS, seen: Deduplicator | None = None
) -> Iterator[Post | Rejection]:
    """Pass each post on or reject it: length, sensitive topics, irrelevance, duplicates.

    Args:
        posts: posts as read, untranslated; of duplicates the first wins.
        min_words: words (Chinese: characters) a description has at least.
        seen: descriptions kept before, where an earlier run is continued.
    """
    seen = seen or Deduplicator()
    for post in posts:
        kept = None
        if not (rejection := rejected_by_rule(post, min_words)):
            kept = seen.add(post.id, post.description)
        yield rejection or (reject(post, Reason.DUPLICATE, kept) if kept is not None else post)


def rejected_by_rule(post: Post, min_words: int = MIN_WORDS) -> Rejection | None:
    """Judge one post by itself; None where it passes."""
    count = count_words(post.description)
    if not count or count < min_words:
        return reject(post, Reason.TOO_SHORT, f"{count} words, at least {max(min_words, 1)}")
    if len(post.description) > MAX_CHARACTERS:
        return reject(post, Reason.TOO_LONG, f"{len(post.description):,} characters, at most {MAX_CHARACTERS:,}")
    if found := sensitive(f"{post.question}\n{post.description}", post.keywords):
        return reject(post, *found)
    why = irrelevant(post.description)
    return reject(post, Reason.IRRELEVANT, why) if why else None


def sensitive(text: str, keywords: Sequence[str] = ()) -> tuple[Reason, str] | None:
    """The first sensitive topic of a text and the words that show it.

    Args:
        text: question and description, English or Chinese.
        keywords: the post's labels. PsyQA's theme 治疗 (treatment) is the one of its themes the paper leaves out.
    """
    plain = plain_text(text)
    for reason, pattern in ((Reason.SELF_HARM, _SELF_HARM), (Reason.RACE, _RACE), (Reason.MEDICAL, _MEDICAL)):
        if found := pattern.search(plain):
            return reason, f"says {found.group(0).strip()!r}"
    return (Reason.MEDICAL, "keyword '治疗'") if "治疗" in keywords else None


def self_harm(text: str) -> str:
    """The words of a text that speak of suicide or self-harm, the writer's own or another's; "" where none do."""
    found = _SELF_HARM.search(plain_text(text))
    return found.group(0).strip() if found else ""


def plain_text(text: str) -> str:
    """A text as the rules here read it: one kind of apostrophe, single spaces."""
    return re.sub(r"\s+", " ", text.replace("’", "'"))


def irrelevant(text: str) -> str:
    """Why nobody seeks help in a text; "" where somebody may."""
    bare = _URL.sub(" ", text)
    if count_words(bare) < 0.5 * count_words(text):
        return "mostly links"
    if len(offers := {found.group(0).lower() for found in _OFFER.finditer(bare)}) >= 2:
        return f"an advert or a job offer: {', '.join(sorted(offers))}"
    lines = [line for line in text.splitlines() if line.strip()]
    if sum(1 for line in lines if _CODE_LINE.match(line)) >= max(3, 0.4 * len(lines)):
        return "mostly code"
    tokens = list(bare) if is_chinese(bare) else words(bare)
    if count_words(bare) >= MIN_WORDS and len(set(tokens)) < _MIN_DISTINCT:
        return "the same few words over and over"
    return ""


def translation_fault(original: str, translated: str) -> str:
    """What is wrong with a translation from Chinese, in words an LM can act on; "" where nothing is.

    Mechanical only: that it exists, is English throughout, and is neither a summary nor an essay.
    """
    before, after = count_words(original), count_words(translated)
    if not after:
        return "the translation is empty"
    if is_chinese(translated) or re.search(r"[\u3400-\u9fff]{8}", translated):
        return "still in Chinese; write all of it in English"
    if before >= 20 and not 0.25 * before <= after <= 1.5 * before:
        kind = "leaves something out" if after < before else "adds something"
        return f"{after} English words for {before} Chinese characters: it {kind}; translate all of it and nothing else"
    return ""
