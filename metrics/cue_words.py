"""The words by which `metrics.strategy_cues` knows what a reply does."""

from __future__ import annotations

import re
from typing import Final


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)\b(?:{'|'.join(text.split())})\b".replace("_", r"\s+"))


FEELINGS: Final = _pattern(
    """
    feel(?:s|ing|ings)? felt hurt(?:s|ing|ful)? sting(?:s|ing)? stung ach(?:e|es|ing) sad(?:ness|dened)?
    sorrow(?:ful)? grie(?:f|ve|ving|ved) mourn\\w* lone(?:ly|lier|liness) alone abandon\\w* reject\\w* asham\\w+
    shame\\w* guilt\\w* regret\\w* remorse embarrass\\w* humiliat\\w* ang(?:er|ry|rily) rage fury furious\\w*
    mad resent\\w* bitter\\w* cross irritat\\w* annoy\\w* frustrat\\w* exasperat\\w* fed_up jealous\\w*
    env(?:y|ious) betray\\w* anxi\\w+ afraid fear\\w* fright\\w* scare[ds]? scary terrif\\w+ terror panic\\w*
    dread\\w* worr(?:y|ied|ies|ying) nervous\\w* tens(?:e|ion) uneas\\w+ insecur\\w+ stress\\w* overwhelm\\w*
    exhaust\\w* weary weariness tired\\w* drain\\w+ numb\\w* empt(?:y|iness) hollow hopeless\\w* helpless\\w*
    powerless\\w* worthless\\w* useless\\w* despair\\w* despondent depress\\w+ miser\\w+ heartbr\\w+ heartache
    broken crush\\w+ devastat\\w+ shaken shock\\w* startl\\w+ disappoint\\w* discourag\\w+ let_down confus\\w+
    lost torn stuck trapped cornered heav(?:y|ier|iness) burden\\w* weigh\\w* tough painful pain hard(?:er|est)?
    difficult rough unfair unwanted unseen unheard invisible ignored excluded left_out left_behind small glad
    happ(?:y|iness|ier) relie(?:f|ved) joy\\w* delight\\w* proud pride hope(?:ful)? hoping grateful gratitude
    tender\\w* love[sd]? longing long(?:ed|s)_for miss(?:ing|ed)? yearn\\w* nostalgi\\w+ homesick\\w* calm
    safe(?:r|ty)? unsafe threat\\w* pressur\\w+ torment\\w* uncomfortable awkward\\w* sick sink(?:s|ing)? sank
    burn(?:s|ed|ing)? bites? bruis\\w+ wound\\w* raw tears? cry(?:ing)? cried weep\\w* ouch horrible awful
    rotten rubbish lousy suffer\\w* discomfort doubt\\w*_yourself unsure uncertain\\w* restless\\w*
    deep(?:ly|er)? looking_forward
    """
)
YOU: Final = _pattern("you your you're you've you'd yourself")
ABOUT: Final = _pattern("you your you're you've you'd he she they his her their him them he's she's they're it it's")
EMPATHY: Final = _pattern(
    """
    i_(?:can_)?imagine i_can_(?:see|hear|feel|understand|picture|tell) i_(?:sense|suspect|wonder)
    i'd_(?:guess|say|think) no_wonder must must've (?:it|that|you)_sounds? you_may_(?:be|have) you_seem
    i_see_why i_understand understandable (?:could|can)_it_be perhaps part_of_you poor_you poor_thing you_wanted
    you_wished did_you_wish under(?:neath)? carry(?:ing)?
    """
)
RESTATES: Final = _pattern(
    """
    so then it_(?:sounds|seems) sounds_like you(?:'re|_are)_saying you_mean in_other_words
    if_i_(?:follow|understand|hear) do_i_(?:follow|understand|hear) did_i_(?:get|hear) have_i_got
    let_me_(?:see|count|check|make) am_i (?:is|was)_(?:that|it) as_i_(?:read|hear|understand)_it what_i_hear
    you_(?:said|told_me|mentioned) plainly i'm_hearing
    """
)
SAYS_BACK: Final = _pattern(
    """
    in_other_words if_i_(?:follow|understand|hear) do_i_(?:follow|understand|hear) have_i_got let_me_(?:see|check)
    did_i_(?:get|hear) (?:it_)?sounds_like you_mean you're_saying you_are_saying what_i_hear as_i_(?:read|hear)_it
    """
)
OWN_LIFE: Final = _pattern(
    """
    i_once i_used_to i've_(?:been|had|felt|gone|done|never|also)
    i_(?:was|had|did|grew|kept|lost|felt|went|found|told|took) i_\\w+ed when_i_(?:was|had) when_my for_me
    as_a_\\w+ i_also i_too myself i_know_(?:that|how|what) same_(?:here|with_me)
    i_(?:struggle|suffer|have|deal|try|like|love|enjoy|feel|find|use|do|work|live)
    my_(?:\\w+_)?(?:mother|father|mum|mom|dad|parents|sister|brother|son|daughter|wife|husband)
    my_(?:\\w+_)?(?:partner|uncle|aunt|cousin|friend|boss|job|family|life|ex|grandmother|grandfather|grandma)
    my_(?:\\w+_)?(?:grandpa|landlady|neighbour|neighbor|colleague|kids?)
    (?:a|an)_(?:friend|neighbour|neighbor|aunt|cousin|colleague|uncle)_of_mine
    (?:a|an)_(?:aunt|friend)_(?:once|was)
    """
)
# What a supporter says of itself without telling of its own life.
FRAMES: Final = _pattern(
    """
    i'm_(?:so_|very_|really_|truly_)?(?:sorry|glad|happy|here|sure|afraid|listening)
    i'm_(?:so_|very_|really_|truly_)?(?:curious|only|just|not|all_ears|with_you)
    i_am_(?:so_|very_)?(?:sorry|glad|happy|here|sure|not)
    i_(?:hear|see|think|wonder|imagine|guess|suspect|believe|hope|mean|sense|bet|doubt|notice)
    i_(?:appreciate|promise|wish|admire|respect|agree|get|take_it|stand|won't|don't|doubt|understand)
    i_(?:can|can't|could|would|will|might|may|won't|cannot|do|did_smile)(?:_\\w+)? i'd i'll i_feel_(?:like_)?you
    let_me tell_me if_i(?:_may|_follow|_understand)? as_i do_i may_i can_i am_i have_i did_i give_me trust_me
    (?:with|to|from)_me i_have_(?:heard|to_say|no_doubt) i_know_(?:it|this)
    """
)
WORDS_FOR_THE_SEEKER: Final = re.compile(
    r"(?i)\b(?:say|tell|write|ask|send|message|text|warn|version|sentence)\b[^.?!:]*:.*"
)
FIRST_PERSON: Final = _pattern("i i'm i've i'd my mine me we our us myself")
PRAISE: Final = _pattern(
    """
    good great well better best brave\\w* courage\\w* strong\\w* strength\\w* honest\\w* fair\\w* right proud
    kind\\w* car(?:e|es|ed|ing) love[sd]? loving loyal\\w* decen\\w+ conscience capable able can skill\\w*
    talent\\w* real enough normal natural human fine allowed deserv\\w+ worth\\w* valu\\w+ count(?:s|ed)?
    matter(?:s|ed)? credit progress effort trying tried hope\\w* glad thank\\w* admir\\w+ respect\\w*
    impress\\w+ remarkabl\\w+ wise\\w* thoughtful patien\\w+ resilien\\w+ okay ok alright all_right
    understandable true truth serious sense reasonable safe grateful gratitude remember\\w* learn\\w* clever
    smart generous funny spine nerve splendid excellent wonderful amazing awesome big_step believe trust\\w*
    luck succeed overcome get_through proof friendship noticed offer easy save[ds]?
    """
)
NOT_SO: Final = _pattern(
    """
    not no never nobody nothing none neither nor without isn't aren't wasn't weren't don't doesn't didn't can't
    cannot won't wouldn't haven't hasn't couldn't needn't shouldn't hardly less rarely no_one
    """
)
YOU_DID: Final = re.compile(
    r"(?i)\byou(?:'ve|'d|'re)?\s+(?:have |had |are |were |did |do |still |already |just |all |both )*"
    r"(?:\w+ed|put|kept|made|took|told|came|went|got|stood|did|said|asked|knew|saw|gave|found|felt|thought|held|let|"
    r"brought|chose|spoke|wrote|paid|drew|meant|laugh|love|do|know|see|count|help|fear|carry|taught|hit|won|care)\b"
)
SCOLDS: Final = re.compile(
    r"(?i)\b(?:you should have|you shouldn't have|"
    r"(?:it's|it is|it was|that's|is) (?:all |entirely |really )?your (?:own )?fault|"
    r"you're (?:being |just |so )?(?:lazy|stupid|weak|dramatic|selfish|pathetic|overreacting)|stop complaining|"
    r"get over it|grow up|shame on you)\b"
)
MAY: Final = re.compile(
    r"(?i)\b(?:you|we)(?:'d|'ll)? (?:\w+ )?(?:could|can|may|might|would|should|need|must|ought)\b|"
    r"\b(?:could|can|might|would) (?:you|we|it be|that be|there be)\b|"
    r"\b(?:what if|how about|what about|why not|why don't you|i'd|i would|i suggest|suggestion|i recommend|"
    r"one (?:step|way|idea|option)|consider|try|trying|suppose|let's|"
    r"have you (?:tried|considered|thought|reached|looked|talked|ever)|"
    r"(?:may|might|could|would|will|can|really|also) help|helps to|helpful to|if you|you'd|"
    r"it's worth|better to|best to|(?:good|great|nice) (?:idea|way|place|time) to)\b"
)
VERBS: Final = """
    add agree allow answer apply ask avoid be begin block book borrow breathe bring build buy call cancel carry change
    check choose clear close come continue cook count cut decide delete do don't draw drink drive drop eat end enjoy
    explain feel find finish focus follow forget get give go greet hand hang have hear help hide hold ignore imagine
    invite join keep lay learn leave lend let listen look lower make meet message move name note offer open order
    pack pay phone pick place plan play practise practice promise pull put quit read reach remember remind repeat reply
    rest ring run save say see seek sell send set shake share show sit skip sleep speak spend stand start stay stop
    switch take talk taste teach tell text thank think trade trust try turn use visit wait walk warn wash watch weigh
    welcome wish work write skype search create enrol enroll register remove reward schedule split spare stick
    """
STEP: Final = re.compile(
    r"(?i)(?:^|[.!?;:,–—]\s+|"
    r"\b(?:and|but|or|then|so|please|just|maybe|perhaps|first|still|instead|also|always|never)\s+)"
    rf"(?:{'|'.join(VERBS.split())})\b"
)
WORDS_TO_SAY: Final = re.compile(
    r":\s*[\"“'‘]?[A-ZÀ-Þ]|(?i:\b(?:say|tell|write|ask|send|message|text)\b[^.?!]*[:,“\"])"
)
GENERAL: Final = _pattern(
    """
    often usually mostly generally typically commonly sometimes rarely seldom frequently normally tends? tending
    people many most others those whoever ones research(?:ers)? stud(?:y|ies) evidence experts science facts?
    known according statistics percent average because since why causes? caused due about over than ago
    apparently actually likely possible possibly from_what as_far_as called kinds?_of online websites? site link
    there_(?:is|are) in_general nearly_(?:any|every)\\w* anywhere each_time years? months? weeks? decades?
    hours? minutes? within
    """
)
COURTESY: Final = _pattern(
    """
    hello hi hey hiya greetings welcome good_(?:morning|afternoon|evening|night|day|luck) morning afternoon
    evening night bye goodbye farewell see_you take_care thanks? thank_you cheers regards best_wishes wish\\w*
    hope may luck pleasure nice_to good_to glad joy you're_welcome no_problem have_a all_the_best stay_safe
    sleep_well go_well sing_well hola hej ciao merhaba salam hallo bonjour bonsoir salut buenas buenos namaste
    hasta adiós adios tschüss auf sorry come_back drop_by door chat enjoy anytime any_time lol okay ok sure yes
    yeah agreed correct evening
    """
)
LEAVING: Final = _pattern(
    """
    bye goodbye thanks? thank_you good_(?:night|day|luck|evening) see_you take_care have_to_go got_to_go i'll_go
    off_to i_should_(?:go|sleep) talk_(?:soon|later) ciao adiós hasta later goodnight night sleep go_now
    tomorrow
    """
)
