"""Does a message to a supporter speak of self-harm or danger? By rule, before any LM is asked.

Errs on the careful side: it does not matter whether something is denied, quoted, or said of another person; whoever
speaks of it gets the fixed text of `socialsim.chat.crisis`. Only figures of speech are left alone ("this job is killing
me", 气死我了). What rules cannot catch is in the user's guide: hints without a telling word, irony, other languages.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from socialsim.screening import plain_text, self_harm


class Danger(StrEnum):
    """What a message speaks of."""

    SELF_HARM = "self_harm"
    VIOLENCE = "violence"
    THREAT = "threat"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


_WANT: Final = (
    r"(?:want(?:ed|s|ing)?|wanna|wish(?:ed|ing)?|going|gonna|ready|plan\w*|about|need|decided|rather|hope"
    r"|tr(?:y|ied|ying))"
)
_NO: Final = r"(?:don'?t|do not|didn'?t|can'?t|cannot|can not|won'?t|no longer|never|not|wouldn'?t)"
_MY: Final = r"(?:my ?self|myslef|meself)"
_TOO: Final = r"(?:any ?more|any ?longer|much longer)"
# The writer's own, in the words of a live message; the words of a post are found by `self_harm`.
_SELF: Final = _any(
    rf"\b{_WANT} (?:to )?(?:just )?(?:die|be dead|be gone|be no more|disappear(?: for ?ever| for good)?"
    rf"|not (?:be here|exist|wake up|live)|never wake up)\b(?! (?:of|from|laughing) (?:laughter|laughing"
    rf"|embarrass\w*|shame|boredom|heat))",
    r"\b(?:i|me) (?:just )?(?:should|could|might|may|will|would|'ll|'d) (?:just |as well "
    r"|be better (?:off )?)*(?:die|dead|be dead)\b",
    r"\bwish i (?:was|were|had|could|would|wasn'?t|weren'?t|didn'?t|hadn'?t|'d)(?: just| never| not)* (?:dead"
    r"|gone|never born|been born|exist\w*|alive|here|wake up|not wake|die|disappear|sleep for ?ever)\b",
    rf"\b{_NO} (?:really |even |just )?(?:want(?:ed)? |wanna |wish |see (?:why|how) i should |care to "
    rf"|plan )(?:to )?(?:live(?! (?:in|with|at|near|here|there|alone|together|next|by|on)\b)|be alive|exist"
    rf"|wake up|go on|carry on|be here|be around|keep going|survive)\b",
    rf"\b{_NO} (?:go|carry|keep) (?:on|going) (?:living|{_TOO})",
    rf"\b(?:won'?t|will not|not going to|not gonna) be (?:here|around|alive)(?: for)? (?:tomorrow|{_TOO}|by"
    rf"|next|when|to see|soon)",
    r"\b(?:nothing|no ?one|nobody|no reason|not much|little) (?:left )?(?:to live for|worth living for"
    r"|to keep me (?:here|alive))\b",
    r"\blife (?:is|was|isn'?t|feels|seems|has)(?: not| no longer| no)? (?:worth (?:it|living)|pointless"
    r"|meaningless|no (?:point|meaning))",
    r"\bhat(?:e|ed|ing) (?:being alive|living)\b|\b(?:been|started|began|still|keep|kept) cutting(?: (?:again"
    r"|since|for|a lot|every)|[.!?,]|$)",
    r"\bnot worth living\b|\b(?:point|use|sense) (?:of|in) (?:living|being alive|staying alive|going on living"
    r"|my life)\b",
    r"\b(?:tired|sick|weary|fed up|done) (?:of|with) (?:living|being alive|life|my life|existing|this life"
    r"|this world)\b",
    r"\bbetter(?: off)? (?:without me|if i (?:was|were|am|wasn'?t|weren'?t)(?: just)?(?: dead| gone| not| here"
    r"| around| alive)|dead)",
    r"\b(?:happier|easier|relieved) (?:without me|if i (?:was|were) (?:dead|gone)|when i(?:'m| am) (?:dead|gone))",
    r"\b(?:want|going|gonna|ready|planning|about|decided|wanna) (?:to )?end (?:it(?! with)|my life|everything"
    r"|this life|the pain|my suffering|me)\b",
    r"\bwant (?:it|everything|the pain|all this|this) (?:all )?to (?:be over|end|stop) (?:for ?ever|for good)\b",
    rf"\b(?:kill|killing|off|offing|do|harm|harming|hurt|hurting|drown\w*|starv\w*|punish\w*|poison\w*|shoot\w*"
    rf"|hang\w*|cut+ing|cut|burn\w*|hit+ing|hit|punch\w*|scratch\w*|stab\w*) {_MY}\b(?! (?:off|out|down|loose"
    rf"|free|some|up|together|from|shaving|cooking|at the gym|at work|running|playing|skiing|a (?:favou?r|break"
    rf"|coffee)|a (?:slice|piece)|with (?:work|chores|exercise)|in the (?:foot|finger|thumb|kitchen)|on (?:a"
    rf"|the|some)|working|studying|laughing|trying|for (?:them|work|him|her)|over (?:it|this|them)|by accident"
    rf"|accidentally))",
    r"\bself[- ]?(?:harm|injur|mutilat|destruct)\w*|\bunaliv\w*|\bkms\b|\b(?!suicid)s[u*@]+[i1!*]+c[i1!*]d\w*"
    r"|\bk[*!1]ll (?:my ?self|me)\b",
    r"\b(?:take|taking|took|lose) my (?:own )?life\b|\bdo myself in\b|\b(?:goodbye|farewell|suicide|last|final"
    r"|death) (?:letter|note)\b",
    r"\b(?:say|saying|said|said my|say my) (?:good ?byes?|farewell) to (?:everyone|everybody|my (?:family|kids"
    r"|children|mum|mom|parents|life)|the world|this world|life)\b",
    r"\b(?:took|taken|take|taking|swallow\w*|have|bought|saved up|got) (?:all|too many|so many|a lot|lots"
    r"|a whole|the whole|a handful|handfuls|a bottle|an? \w+ bottle|\d+|dozens|enough)(?: of)?(?: my| the"
    r"| these| those| her| his)? ?(?:\w+ )?(?:pills|tablets|meds|medication|painkillers|sleeping|paracetamol"
    r"|ibuprofen|tylenol|xanax)\b",
    r"\b(?:pills|tablets|gun|knife|razor|razor ?blade|blade|rope|noose"
    r"|bottle of pills)\b[^.!?]{0,20}\b(?:in front of me|in my hands?|on my lap|next to me|to my (?:head|throat"
    r"|wrists?|neck)|around my neck|against my)",
    r"\b(?:stand|standing|sit|sitting|am|i'm) (?:up )?(?:on|at|near|by) (?:the|a|my) (?:edge|ledge"
    r"|(?:\w+ )?roof|rooftop|bridge|window ?sill|(?:train |railway )?tracks|railing|cliff)\b",
    r"\b(?:jump\w*|throw\w* myself|step\w*|walk\w*|run|running|lie|lying|lay) (?:off|from|in front of|under"
    r"|onto|on|out of|into) (?:a |the |my |an? \w+ )?(?:moving )?(?:train|trains|bus|truck|lorry|traffic|tracks"
    r"|bridge|roof|building|cliff|window|balcony|railway)\b",
    r"\b(?:drive|driving|crash\w*|steer\w*) (?:my car |the car |it |myself )?(?:into|off|against) (?:a "
    r"|the )?(?:tree|wall|bridge|cliff|river|truck|lorry|oncoming|traffic)",
    r"\b(?:sleep|go to sleep|fall asleep) (?:and (?:never|not) wake|for ?ever)|\b(?:never|not) wak(?:e"
    r"|ing) up (?:again|any ?more|tomorrow)\b|\bhope i (?:don'?t|never) wake\b",
    r"\bbleed(?:ing)? (?:a lot|heavily|badly|out|to death|and it (?:won'?t|doesn'?t) stop)|\boverdos\w*",
    r"不想(?:再)?(?:活|醒来|醒过来|存在)|(?<!生)活着?(?:没|好没|真没|毫无|没有)(?:什么)?(?:意思|意义|价值|劲)"
    r"|活够了|活着(?:好|太|真)?(?:累|痛苦)|没有?(?:活下去|活着)的?(?:勇气|理由|意义|必要|希望)|没(?:有)?勇气活",
    r"(?:想|要|宁愿|不如|还不如)(?:就这样)?(?:消失|死掉|死去|去死|死了)|死了(?:就)?(?:好了|更好|干净|轻松|没人)"
    r"|再也(?:不要|别|不用)醒|永远(?:睡着|睡过去|睡去|不醒)|长眠|一睡不醒",
    r"没有我(?:会|他们|大家|你们|这个|家里|是不是|可能)*(?:更好|更轻松|过得|也一样)|(?:世界|大家|他们|家人)(?:少了|没有|没了)我",
    r"(?:想|要|准备|打算|开始|又|在|忍不住|偷偷|用\w{0,4})(?:伤害|割|划|烫|打|掐|弄伤)(?:了)?(?:我)?自己"
    r"|割(?:了|过|自己|手腕|手臂)|(?:划|割)(?:了|自己的|我的)?(?:手腕|手臂|胳膊|大腿)",
    r"(?:跳|卧)(?:桥|河|江|海|崖|轨|湖|天台)|烧炭|(?:吃|吞|服)(?:了|下)?(?:很多|好多|大量|一整?瓶|整瓶|一把"
    r"|几十|\d+).{0,4}(?:药|片|粒)|(?:站|坐|爬)(?:在|到|上).{0,4}(?:天台|楼顶|桥上|窗台|阳台边|铁轨)",
    r"遗言|告别(?:这个)?世界|(?:结束|了结)(?:这一切|一切|这条命|我的命)|(?:最后一次|再也不会?)(?:见|联系)(?:你|你们|大家)了|撑不(?:下去|住)了.{0,6}(?:死|活|结束)|求死",
)
_THEM: Final = (
    r"(?:he|she|they|someone|somebody|who|which|partner|husband|wife|ex|exes|boyfriend|girlfriend|father|dad"
    r"|daddy|mother|mom|mum|step ?\w+|brother|sister|uncle|aunt|cousin|grand\w+|boss|teacher|coach|neighbou?r"
    r"|classmates?|roommate|flatmate|stranger|man|guy|men|boys?|girls?|parents|family|son|daughter|friend"
    r"|police)"
)
_HURTS: Final = (
    r"(?:hit|hits|hitting|beat|beats|beaten|beating|beat up|punch\w*|kick\w*|chok\w*|strangl\w*|slap\w*|stab\w*"
    r"|shov\w*|rap(?:e|es|ed|ing)|molest\w*|abus\w*|assault\w*|attack\w*|grop\w*|burn(?:s|ed|t|ing)|whip\w*"
    r"|threaten\w*|stalk\w*|follow(?:s|ed|ing) me home|tied|lock(?:s|ed|ing)(?! (?:me|us) out)|trap\w*)"
)
_VIOLENCE: Final = _any(
    rf"\b{_THEM}(?:'s|'ve|'d|'ll| (?!hit\b|beat\b)\w+){{0,4}} {_HURTS} (?:me|us|my (?:mum|mom|mother|kids?"
    rf"|child|children|son|daughter|sister|brother|baby))\b(?! (?:up(?! again)|at (?!home|night|work|school)"
    rf"|in (?:a |the )?(?:game|race|chess|cards|tennis|match|contest|argument|discussion)|to (?:it|the)|by \d"
    rf"|that|like|with (?:the )?(?:questions|work|love|news|dismissal|a lawsuit|divorce|legal|emails)"
    rf"|on (?:instagram|facebook|twitter|tiktok|social|linkedin)))",
    r"\b(?:i(?:'m|'ve| am| was| got| get| have| had| keep| kept)(?: \w+){0,3}) (?:being |been |getting "
    r"|got )?(?:beaten(?! (?:at|in|by \d))|raped|molested|abused|assaulted|strangled|choked|stabbed"
    r"|held captive|kidnapped|trafficked|stalked|followed home|mugged|threatened with (?:a |death|murder)"
    r"|locked (?:in|up))\b",
    r"\b(?:domestic|sexual|physical|child|partner) (?:violence|abuse|assault)\b|\b(?:rape|raped|rapist|raping"
    r"|molest\w*|groom(?:ed|ing) me)\b|\bsexually (?:assault|abus|harass)\w*",
    r"\b(?:tr(?:y|ied|ies|ying)|want(?:s|ed)?|threaten\w*|promis\w*|sw(?:ore|ear\w*)|vow\w*) (?:to )?(?:kill"
    r"|murder|hurt|shoot|stab|burn|drown|poison|harm) (?:me|us|my (?:kids|child\w*|son|daughter|mother"
    r"|family))\b",
    r"\b(?:sa(?:id|ys)|told me|texted|wrote)(?: that)? (?:he|she|they)(?:'ll|'d|'s|'re| will| would| is| are"
    r"| was| were)?(?: going to| gonna)? (?:kill|murder|shoot|stab|find|hurt) (?:me|us)\b",
    r"\b(?:going to|gonna|will|'ll) (?:kill|murder|shoot|stab) (?:me|us)(?= ?(?:[.!?,]|$| tonight| soon| and"
    r"| one day| someday))",
    r"\b(?:fear|afraid|scared|terrified|worried) (?:for|of) (?:my|our) (?:life|lives|safety)\b|\b(?:afraid"
    r"|scared|terrified|fear)(?: that| of)? (?:he|she|they|him|her|them)(?:'ll|'s| will| might| may"
    r"| is going to| could| would)? ?(?:hit|hurt|kill|beat|hitting|hurting|killing|beating|find me)",
    r"\bi(?:'m| am|m)?(?: really| just)? (?:not safe|unsafe|in (?:great |serious |real |immediate "
    r"|physical )?danger|trapped (?:in|by|with)|being (?:followed|watched|held|chased))",
    r"\b(?:don'?t|do not|not|never|didn'?t) (?:\w+ )?feel safe (?:at home|here|with (?:him|her|them|my)"
    r"|in (?:my|this|our) (?:home|house|own))|\b(?:not safe|unsafe) (?:at home|here|with (?:him|her|them|my)"
    r"|for me)",
    r"\b(?:has|have|had|with|holding|pulled|got) (?:a|the|his|her) (?:gun|knife|weapon|machete)(?: on me| at me"
    r"| to my|\b)|\b(?:forced?|forces|forcing|made|makes) (?:himself on me|herself on me|me to (?:have sex"
    r"|sleep with|touch|undress|do sexual))|\btouch(?:es|ed|ing) me (?:where|down there|sexually|at night"
    r"|inappropriately|in (?:bad|private|wrong))",
    r"\b(?:threw|throws|throwing) (?:a|the|his|her|things|plates|\w+) (?:\w+ )?at me\b|\b(?:call|need"
    r"|get) (?:the police|an ambulance|911|999|112)\b|\bsomeone(?:'s| is) (?:breaking in|in my house"
    r"|trying to get in|at my door with)",
    r"家暴|强奸|强暴|性侵|猥亵|性骚扰|轮奸|绑架|囚禁|虐待|被(?:打|揍|殴打|跟踪|尾随|关起来|锁|掐|砍|捅|威胁"
    r"|下药|侵犯)|(?:打|揍|踢|掐|砍|捅|勒|踹|扇)(?:了|过|死|伤)?我(?!们?的?(?:电话|手机|微信|主意|招呼))(?:$"
    r"|[，。！？,.!? 们和一的巴耳妈身头脸]|了|，|而|还|就|又|几)",
    r"(?:要|想|说|威胁)(?:过)?(?:要)?(?:杀|砍|弄死|打死|捅死|掐死)(?:了|死)?我|(?:怕|害怕|担心)(?:他|她|他们"
    r"|被)(?:会|要|又)?(?:打|杀|伤害|弄死|报复)|(?:我|我们)(?:现在|感觉|觉得|很|真的|在家){0,3}(?:不安全"
    r"|有生命危险|有危险|处境危险|很危险)|威胁我.{0,4}(?:生命|安全|杀|死)",
)
_WHOM: Final = (
    r"(?:him|her|them|someone|somebody|some ?one|people|everyone|everybody|you|my (?:\w+ )?(?!self)\w+"
    r"|the (?:\w+ )?(?:baby|kids?|child|children|man|woman|guy|boss|teacher|cat|dog|neighbou?rs?)|that (?:man"
    r"|woman|guy|bastard|bitch)|others|those)"
)
_INTENT: Final = (
    r"(?:want(?:ed)? to|wanna|going to|gonna|will|'ll|plan(?:ned|ning)? (?:to|on)|about to|ready to|tempted to"
    r"|urges? to|feel(?:ing)? like|felt like|think(?:ing)? (?:of|about)|thoughts? (?:of|about)|thought (?:of"
    r"|about)|fantas\w+ (?:of|about)|if i just|threatened to|tried to|might|afraid i(?:'ll| will| might| could)"
    r"|scared i(?:'ll| will| might| could))"
)
_THREAT: Final = _any(
    rf"\b{_INTENT} (?:just |really )?(?:kill|killing|murder\w*|stab\w*|shoot(?:ing)?|strangl\w*|chok\w*"
    rf"|poison\w*|drown\w*|suffocat\w*|attack\w*|beat(?:ing)? (?:up )?|burn(?:ing)?) ?{_WHOM}\b(?! (?:at"
    rf"|in (?:the|a) (?:game|race|match)|with kindness|time|feelings|confidence|mood|questions|an? (?:email"
    rf"|message|text)))",
    rf"(?<!n't )(?<!not )(?<!never )\b{_INTENT} (?:just |really |physically |badly )?(?:hurt|hurting|harm"
    rf"|harming|hit|hitting|punish\w*|shake|shaking) {_WHOM}\b(?!'s? feelings| feelings|'s)",
    r"\b(?:hurt|harm|shake|shook|hit|kill|drop|smother|drown)(?:ing)? (?:my|the) (?:own )?(?:baby|newborn"
    r"|infant|toddler|child|kids?|son|daughter)\b(?!'s? feelings| feelings)",
    r"\bi(?:'ve| have| just| almost| nearly| also| once| sometimes)* (?:hit|beat|slapped|punched|kicked|choked"
    r"|strangled|stabbed|shot|killed|raped) (?:him|her|them|my (?:\w+ )?(?:wife|husband|son|daughter|child"
    r"|kids?|baby|mother|mom|mum|father|dad|girlfriend|boyfriend|partner|sister|brother|ex)|someone"
    r"|somebody)\b(?! (?:at|in (?:the|a)|to it|by \d|up on|with the news))",
    r"\b(?:shoot|shooting|blow|blowing) up (?:the |my |a |this )?(?:\w+ )?(?:school|office|place|workplace"
    r"|building|church|mosque|synagogue|mall)\b|\bmass shooting\b|\bburn (?:the|his|her|their|my"
    r"|this) (?:\w+ )?(?:house|place|building|office|school)(?: \w+)? down\b|\bmake (?:him|her|them all"
    r"|them) pay with\b",
    r"(?:想|要|会|打算|准备|恨不得|真想|忍不住)(?:亲手|去|拿刀|把他|把她|把他们|把孩子)*(?:杀|砍|捅|掐死|弄死"
    r"|打死|毒死|勒死|烧死|宰)(?:了|死|掉)?(?:他|她|它|你|人|全家|所有|孩子|老|我(?:爸|妈|老|男|女|同|孩))?"
    r"|杀了(?:他|她|他们|她们|你|所有人|全家|那个)|同归于尽|报复社会|杀人|砍人|捅人|弄死(?:他|她|他们)",
    r"(?<!不)(?<!不会)(?:想|要|会|可能|怕(?:我|自己)(?:会)?)(?:伤害|打|摔|掐)(?:了)?(?:他|她|孩子|宝宝|婴儿"
    r"|别人|他们|家人|我(?:妈|爸|老|孩))(?!电话)|我(?:又|刚|刚刚|今天|昨天|忍不住)?(?:动手)?打了(?:他|她|孩子"
    r"|我(?:妈|爸|老婆|老公|儿子|女儿))(?!电话)",
)
_INVISIBLE: Final = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")
_SAFE: Final = re.compile(
    r"(?:^|[.!?,;] ?)(?:(?:yes|no|sorry|thanks|thank you|ok|okay|oh|don't worry|but|really|honestly)[,.! ]+)*"
    r"(?:i'm|i am|im|we're|we are) (?:(?:really|quite|now|actually|totally|completely|perfectly) )*"
    r"(?:safe(?! (?:if|until|unless|for now|word))|not in (?:any )?danger|out of danger)\b"
    r"|^(?:我)?(?:现在|很|是|真的|挺|没事)*(?:安全|没有危险|没危险)",
    re.IGNORECASE,
)


def danger(message: str) -> Danger | None:
    """What danger a message speaks of; None where no rule finds any.

    Args:
        message: as the person wrote it, English or Chinese.
    """
    text = plain_text(_INVISIBLE.sub("", message).replace("＇", "'").replace("`", "'"))
    if self_harm(text) or _SELF.search(text):
        return Danger.SELF_HARM
    if _VIOLENCE.search(text):
        return Danger.VIOLENCE
    return Danger.THREAT if _THREAT.search(text) else None


def all_clear(message: str) -> bool:
    """Whether a message says in so many words that the person is safe, and speaks of no danger."""
    text = plain_text(_INVISIBLE.sub("", message)).strip()
    return danger(text) is None and bool(_SAFE.search(text))
