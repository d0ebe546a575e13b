"""Word lists of the persona checks: numbers, calendar, relations, everyday talk."""

from __future__ import annotations

from typing import Final


def _words(lines: str) -> list[str]:
    return lines.split()


_ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBER_WORDS: Final[dict[str, float]] = (
    {word: float(value) for value, word in enumerate(_words(f"{_ONES} eighteen nineteen"), start=1)}
    | {word: 20.0 + 10 * place for place, word in enumerate(_TENS.split())}
    | {"dozen": 12.0, "hundred": 100.0, "thousand": 1000.0, "million": 1e6}
)
SCALES: Final[dict[str, float]] = {"hundred": 100.0, "thousand": 1000.0, "million": 1e6, "k": 1000.0}
# "first" and "second" belong to everyday talk.
ORDINALS: Final[dict[str, float]] = {
    word: float(value)
    for value, word in enumerate(
        _words("third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"), start=3
    )
} | {"fifteenth": 15.0, "twentieth": 20.0, "thirtieth": 30.0}

_MONTHS = "january february march april may june july august september october november december"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_FEASTS = "christmas easter eid ramadan carnival thanksgiving halloween diwali hanukkah"
CALENDAR: Final[dict[str, int]] = {
    word: number for number, word in enumerate(_words(f"{_MONTHS} {_DAYS} {_FEASTS}"), start=1)
}
WEEKDAYS: Final = frozenset(float(CALENDAR[day]) for day in _DAYS.split())
CLOCK_CUES: Final = frozenset(_words("at until till by from before after past around to"))
TIME_UNITS: Final = frozenset(_words("second minut hour dai week month year night"))
SHORT_TIMES: Final = TIME_UNITS - {"month", "year"}  # what a proposal may take
UNIT_TWINS: Final[dict[str, str]] = {
    "min": "minut", "hr": "hour", "sec": "second", "yr": "year", "wk": "week", "kid": "child", "children": "child",
    "buck": "dollar", "peopl": "person",
}  # fmt: skip

# Words that end what a number counts or what a determiner belongs to.
BOUNDARY: Final = frozenset(
    _words(
        """and or but so that which who whom when while where if because as than of in on at to for from with without by
    about into over under before after until till since during is are was were be been am do does did has have had
    will would can could should may might must not never i you he she it we they me him them us"""
    )
)
STOP: Final = BOUNDARY | frozenset(
    _words(
        """a an the my your his her its our their this these those there here then now just only even still yet already
    more less most much many few some any no all each every other another ago later long too also again away out up
    down off back or per left apart altogether straight together behind between beyond beside among upon
    around through ahead once twice instead almost nearly first last next today tonight
        tomorrow yesterday maybe perhaps lately recently"""
    )
)

# Each line: a class, then the words that name it.
_RELATION_LINES = """
mother mother mum mom mama mamma mammy mommy mummy
father father dad papa daddy
parent parent
sister sister
brother brother
sibling sibling
son son
daughter daughter
child child children kid
baby baby
husband husband hubby
wife wife wives
spouse spouse
partner partner
boyfriend boyfriend
girlfriend girlfriend
fiance fiance fiancé fiancee fiancée
ex ex
friend friend bestie buddy
roommate roommate flatmate housemate
colleague colleague coworker
boss boss supervisor manager
director director
chief chief
editor editor
landlord landlord landlady
teacher teacher lecturer professor
tutor tutor
classmate classmate
neighbour neighbour neighbor
uncle uncle
aunt aunt auntie aunty
cousin cousin
niece niece
nephew nephew
grandmother grandmother grandma granny nana nonna
grandfather grandfather grandpa granddad grandad nonno
grandson grandson
granddaughter granddaughter
grandchild grandchild grandchildren
godmother godmother
godfather godfather
stepmother stepmother stepmom stepmum
stepfather stepfather stepdad
apprentice apprentice
"""
RELATIONS: Final[dict[str, str]] = {
    form: line.split()[0]
    for line in _RELATION_LINES.strip().splitlines()
    for word in line.split()[1:]
    for form in (word, word[:-1] + "ies" if word.endswith("y") else word + "s", word + "es")
}
# A relation is no news once one of these words was said: "my parents" implies a mother.
_IMPLIED = """
mother parent nonna
father parent
parent mother father mum dad
sister sibling
brother sibling
sibling sister brother
son child boy grandchild baby
daughter child girl grandchild baby
child son daughter baby girl boy grandchild pregnant
baby child son daughter newborn pregnant birth
husband spouse partner marriage married marry wedding divorce
wife spouse partner marriage married marry wedding divorce
spouse husband wife marriage married wedding divorce
partner boyfriend girlfriend husband wife fiance spouse relationship
boyfriend partner fiance ex
girlfriend partner fiance ex
fiance partner boyfriend girlfriend engaged engagement wedding
ex boyfriend girlfriend husband wife partner
friend roommate classmate
colleague work office team job boss ward shift company crew newsroom kitchen
boss director chief editor work office job company shift
director boss company
chief boss
editor boss newspaper newsroom
teacher school class course lesson tutor
classmate class school
niece sister brother sibling
nephew sister brother sibling
grandmother grandparent nonna
grandfather grandparent nonno
grandchild grandson granddaughter
"""
IMPLIED: Final[dict[str, frozenset[str]]] = {
    line.split()[0]: frozenset(line.split()[1:]) for line in _IMPLIED.strip().splitlines()
}
# A question may guess these without having read the persona.
COMMON_GUESSES: Final = frozenset(_words("mother father parent friend partner colleague boss teacher child"))
FEMALE: Final = _words(
    "woman girl lady mother mom mum wife daughter sister widow girlfriend housewife grandmother aunt"
)
MALE: Final = _words(
    "man guy boy lad bloke gentleman father dad husband son brother widower boyfriend grandfather uncle"
)

# Capitalised within a sentence, yet no name.
NEVER_NAMES: Final = frozenset(
    _words(
        """i mr mrs ms miss dr sir madam god ok okay tv pc cv diy faq asap lol omg year grade north south east west
    new old
    lake river street road county city university school hotel upper lower great saint st the of and yes no oh ah hey
    a an mammy dear uncle"""
    )
)

EVERYDAY: Final = _words(
    """
able about above absolutely accept across act actual actually add admit afraid after afternoon again against age ago
agree ah alive all allow almost alone along already alright also although always am among amount and angry another
answer any anybody anymore anyone anything anyway anywhere apart apology apologise appear are area around arrive as
ashamed ask asleep at attention aware away awful awkward back bad badly balance be bear beat became because become
bed before began begin behind being believe below beside best better between big bit bitter bless blame body bone
boring both bother bottom brave break breakfast breath breathe brief bright bring broke broken brought build burden
busy but buy by call calm came can cannot capable care careful carefully carry case cause certain chance change chat
check choice choose clean clear clearly close closed closer coffee cold come comes comfort common complete concern
connect consider control conversation cook corner correct cost could count couple courage course cover crazy cry
curious cut dad daily dark date day days deal dear decide decision deep deserve despite did die difference different
difficult dinner dinners direct discuss disappoint distance do does doing done door doubt down dread drink drive
drop due during each earlier early earn ease easier easy eat either else email embarrass emotion emotional empty end
energy enjoy enough entire especially even evening ever every everybody everyone everything everywhere evidence
exact exactly example except exchange excited exhausted expect experience explain express extra eye eyes face fact
fail failure fair fall false family far fast father fault favour fear feel feeling feelings fell felt few fight
figure fill final finally find fine finish fire first fit fix floor focus follow food foot for force forever forget
forgive forgot form forward found free friend frighten frightened from front full fun funny further future gave
general gentle gently get girl give glad go goal god goes going gone good goodbye goodnight got grateful great grew
grief ground grow guess guilt guilty guy guys had half hall hand handle hands happen happened happens happy hard
hardly harm has hate have having he head healing health hear heard heart heavier heavy hello help helped here
herself hey hi hide high him himself his hold holding home honest honestly hope hot hour house how however huge
human hurt idea if ill imagine important in inside instead interest into invite involve is issue it itself job join
journey just justice keep keeps kept kid kill kind kindness kitchen knew know known laid language large last late
later laugh laughed laughing laughter lay lead learn least leave leaving led left less let letter level lie lies
life light like likely line list listen little live lives local lonely long longer look loose lose losing loss lost
lot loud love loved loving low luck lucky lunch made main make making man manage many mark matter matters may maybe
me mean meaning meant meet meeting mention mess message met middle might mind mine minute miss missed mistake moment
moments money month months mood more morning most mostly mother move much mum must my myself name natural near
nearly necessary need needs neither nervous never new news next nice night no nobody none noon nor normal not note
nothing notice noticed now number obvious of off offer office often oh ok okay old on once one ones only onto open
opened or order ordinary other others ought our out over overwhelmed own owner page pain paid panic paper part
partly pass past patience patient pause pay peace people perfect perhaps period permission person phone pick picture
piece place plain plan play please plenty point polite poor position possible power practice practise prefer prepare
present press pressure pretend pretty price pride private probably problem promise proof proper properly protect
proud prove pull push put quarrel question quick quickly quiet quietly quite raise ran rather reach read reading
ready real realise reality really reason receive refuse regret relation relationship relax relief remember remind
repair repeat reply request respect respond rest result return right ring risk road room rough round rude rule run
sad safe safety said same sat save saw say saying scare scared school season second secret see seem seems seen self
sell send sense sent sentence separate serious set settle several shake shall shame share she shock short should
shout show shut shy sick side sign silence silent simple simply since sing single sir sit sitting situation skip
sleep slept slow slowly small smile so soft some somebody somehow someone something sometimes somewhere soon sore
sorry sort sound space spare speak special spend spent spoke spoken stand standing start started state stay step
steps stick still stomach stood stop stopped story straight strange stranger street stress strong struggle stuck
stupid such sudden suddenly suffer suggest support suppose sure surprise sweet swear table take taken takes taking
talk talked talking tea teach tell telling tend terrible test text than thank thanks that the their them themselves
then there therefore these they thing things think thinking this those though thought thoughts three threw through
throw thus ticket tie tight time times tired to today together told tomorrow tonight too took top touch tough toward
trick tried trouble true truly trust truth try trying turn turned turning two type ugly uncertain under understand
unless until up upset us use used useful usual usually value version very view visit voice wait waiting wake walk
wall want wanted warm warning was wash waste watch water way ways we weak wear week weekend weeks weigh weight weird
welcome well went were what whatever when whenever where whether which while who whole whom whose why will willing
win window wise wish with within without woke woman women wonder wonderful word words work worked working works
world worried worry worse worst worth would write writing written wrong wrote yeah year years yes yesterday yet you
young your yours yourself hers ours theirs someone's everyone's haven't don't mhm hmm hm uh um ha haha wow yep nope
ouch ugh oops bye cheers folks stuff bunch kinda gonna wanna
"""
)

# What people call the paper's occupations; "" is a job outside the list.
_JOB_NAMES = """
doctor: doctor physician surgeon
nurse: nurse
teacher: teacher schoolteacher
university professor: professor lecturer
counselor: counselor counsellor
lawyer: lawyer attorney solicitor
accountant: accountant bookkeeper
banker: banker
secretary: secretary receptionist
software developer: developer programmer
engineer: engineer
actor: actor actress
architect: architect
singer: singer
writer: writer novelist
photographer: photographer
researcher: researcher scientist
social worker: social-worker
journalist: journalist reporter
athlete: athlete
driver: driver truck-driver bus-driver taxi-driver
chef: chef cook baker
server: waiter waitress bartender
police officer: police-officer policeman policewoman cop
gardener: gardener
soldier: soldier
nanny: nanny babysitter
student: student
entrepreneur: entrepreneur
tour guide: tour-guide
real estate agent: estate-agent real-estate-agent realtor
designer: designer
beautician: beautician hairdresser
firefighter: firefighter fireman
therapist: therapist psychologist
courier: courier postman
clerk: clerk cashier
housewife: housewife
other: farmer plumber electrician carpenter mechanic pilot butcher dentist pharmacist tailor miner fisherman
"""
JOBS: Final[dict[str, str]] = {
    word.replace("-", " "): line.split(": ")[0]
    for line in _JOB_NAMES.strip().splitlines()
    for word in line.split(": ")[1].split()
}
# Occupations that go together in one life, or mean one job; "any" goes with every job.
_JOB_LINES = """
doctor, therapist, researcher, university professor
nurse
teacher, university professor, researcher, counselor, coach
counselor, therapist, teacher, social worker
lawyer
accountant, clerk, banker
banker, accountant, clerk
secretary, clerk
software developer, programmer, engineer, network security analyst, designer
programmer, software developer, engineer
network security analyst, software developer, engineer
engineer, software developer, architect, other
actor, singer
architect, designer, engineer
singer, actor, teacher
writer, journalist, researcher
photographer, designer, journalist
researcher, university professor, doctor, engineer, student, teacher
journalist, writer, photographer
driver, courier
chef, server
server, chef
courier, driver
delivery person, courier, driver
university professor, researcher, teacher
coach, teacher, athlete
athlete, coach
tv presenter, journalist, actor
network anchor, journalist, actor
therapist, counselor, doctor
social worker, counselor
clerk, accountant, secretary, server
customer service, clerk, secretary
beautician, designer
public relations officer, writer, journalist
marketing manager, designer, writer
corporate executive, any
entrepreneur, any
consultant, any
civil servant, any
unemployed, any
housewife, any
hr manager, any
logistics manager, driver, clerk, engineer
"""
JOB_GROUPS: Final[dict[str, frozenset[str]]] = {
    line.split(", ")[0]: frozenset(line.split(", ")) for line in _JOB_LINES.strip().splitlines()
}
