package content

import (
	"math/bits"
	"strings"
)

// class is a class of words of which the phrases of Injection consist.
type class uint8

const (
	drop      class = iota // ignore, forget
	dropLast               // the same in languages in which the verb comes last
	prior                  // previous, all, your
	order                  // instructions, prompt, rules
	reveal                 // print, repeat
	secret                 // system, hidden
	before                 // before, prior
	solve                  // complete, answer
	task                   // task, question
	request                // please, must
	not                    // never, without
	tell                   // tell, inform
	person                 // user, operator
	greeting               // dear, attention
	notice                 // note, message
	to                     // to, for
	model                  // llm, chatgpt
	ai                     // ai
	modelNoun              // assistant, model
	language               // language
	condition              // if, as
	you                    // you
	your                   // your
	other                  // new, real
	goal                   // task, role
	job                    // goals that people have, too
	newWord                // new
	are                    // are
	now                    // now
	longer                 // longer
	important              // urgent
	message                // request
	call                   // invoke
	the                    // the
	tool                   // function
	numClasses
)

// classes is a set of classes.
type classes uint64

func (s classes) any(cs ...class) bool {
	for _, c := range cs {
		if s&(1<<c) != 0 {
			return true
		}
	}
	return false
}

func lowestClass(s classes) int { return bits.TrailingZeros64(uint64(s)) }

// vocabulary maps each word, folded as texts are, to its classes.
var vocabulary = vocabularyOf([]wordsOf{
	{drop, `ignore ignoring ignores ignored disregard disregarding disregarded forget forgetting override overriding overrides overrule
		overlook overlooking neglect bypass discard dismiss
		ignoriere ignorieren ignoriert vergiss vergessen missachte missachten
		ignorez ignorer oublie oubliez oublier
		ignora ignoren ignorar olvida olvide olvidar olviden
		esqueça esqueca esquecer desconsidere desconsiderar
		ignorate ignorare dimentica dimenticate dimenticare
		negeer negeren vergeet zignoruj ignoruj zapomnij pomiń ignorujte zapomeň zapomeňte ignorera glöm ignorer glem
		игнорируй игнорируйте игнорировать проигнорируй проигнорируйте забудь забудьте ігноруй ігноруйте
		abaikan lupakan تجاهل تجاهلوا`},
	{dropLast, `unut unutun yok görmezden göz ignorieren vergessen ignoriert missachtet`},
	{prior, `previous previously prior above earlier preceding original former existing initial all any every everything your these
		vorherigen vorherige bisherigen bisherige früheren obigen alle allen sämtliche vorigen
		précédentes précédents précédente antérieures toutes tous
		anteriores previas previos todas todos
		anterior prévias précédenti precedenti tutte tutti
		vorige eerdere bovenstaande poprzednie poprzednich wszystkie wszystkich wcześniejsze předchozí všechny tidigare alla tidligere alle
		предыдущие предыдущих все прежние вышеуказанные попередні всі önceki tüm sebelumnya semua السابقة جميع`},
	{order, `instruction instructions prompt prompts rules guidelines commands directives directive directions orders constraints told instructed
		restrictions programming
		anweisungen anweisung befehle regeln vorgaben instruktionen
		consignes ordres règles
		instrucciones órdenes indicaciones reglas
		instruções ordens regras istruzioni ordini regole instructies opdrachten regels instrukcje instrukcji polecenia poleceń pokyny
		instruktioner anvisningar anvisninger
		инструкции инструкций указания указаний команды інструкції вказівки talimatları talimatlar komutları instruksi perintah التعليمات الأوامر`},
	{reveal, `reveal print show repeat output leak disclose display tell give write summarize summarise share translate paste recite`},
	{secret, `system hidden initial secret original confidential developer`},
	{before, `before prior order`},
	{solve, `solve solving complete completing answer answering finish finishing fulfill fulfilling accomplish perform performing handle handling
		proceed proceeding continue continuing respond responding execute help helping begin start starting`},
	{task, `task tasks request question query job`},
	{request, `please must need should have first perform execute`},
	{not, `not never don't dont without avoid`},
	{tell, `tell telling inform informing mention mentioning notify notifying alert alerting reveal revealing warn warning show`},
	{person, `user users human operator`},
	{greeting, `dear attention attn hello hey greetings`},
	{notice, `note message notice instruction instructions reminder memo directive directives guidance information`},
	{to, `to for`},
	{model, `llm llms chatbot chatbots chatgpt gpt claude gemini copilot`},
	{ai, `ai ais`},
	{modelNoun, `assistant assistants agent agents model models system systems bot bots reader readers language crawler crawlers tool tools`},
	{language, `language`},
	{condition, `if as when`},
	{you, `you`},
	{your, `your`},
	{other, `new real actual true only updated revised primary`},
	{goal, `task goal objective objectives instruction instructions role mission purpose job assignment`},
	{job, `role mission goal objective objectives job purpose assignment`},
	{newWord, `new updated system`},
	{are, `are`},
	{now, `now`},
	{longer, `longer`},
	{important, `important urgent critical`},
	{message, `message messages instruction instructions notice request directive directives`},
	{call, `call use invoke run execute`},
	{the, `the`},
	{tool, `tool function api endpoint`},
})

// maxVocabulary is the greatest length in bytes for which vocabularyLengths knows that there is no word.
const maxVocabulary = 31

// vocabularyLengths holds for each first byte the lengths of the words of the vocabulary, as bits: most words of a text need no
// look-up.
var vocabularyLengths = func() (lengths [256]uint32) {
	for w := range vocabulary {
		if len(w) <= maxVocabulary {
			lengths[w[0]] |= 1 << len(w)
		}
	}
	return lengths
}()

type wordsOf struct {
	class class
	words string
}

func vocabularyOf(list []wordsOf) map[string]classes {
	out := map[string]classes{}
	for _, l := range list {
		for _, w := range strings.Fields(l.words) {
			out[Folded(w)] |= 1 << l.class
		}
	}
	return out
}

// Scripts that are written without spaces, or whose words carry endings: their phrases are searched as texts.
const (
	firstSolid = 0x2e80 // radicals of Han
	lastSolid  = 0xd7ff // Hangul
)

// solidPhrases are overrides in these scripts: a text with one word of each of the three groups within solidWidth bytes.
var solidPhrases = [...][3][]string{
	{foldAll("忽略", "无视", "無視", "忘记", "忘掉", "不要理会", "忘記"), foldAll("之前", "以前", "先前", "所有", "上述", "以上", "前面", "全部"), foldAll("指令", "指示", "提示", "命令", "规则", "規則")},
	{foldAll("無視", "忘れ", "無効"), foldAll("以前", "前の", "これまで", "すべて", "全て", "上記", "先の"), foldAll("指示", "命令", "指令", "プロンプト", "ルール")},
	{foldAll("무시", "잊어", "잊으"), foldAll("이전", "모든", "앞선", "위의", "기존"), foldAll("지시", "명령", "프롬프트", "지침", "규칙")},
}

// solidWidth is the greatest distance in bytes between the words of a phrase: 20 characters.
const solidWidth = 60

func foldAll(words ...string) []string {
	for i, w := range words {
		words[i] = Folded(w)
	}
	return words
}

// solidOverride reports whether a folded text has an override in a script without spaces.
func solidOverride(text string) bool {
	for _, p := range solidPhrases {
		for _, verb := range p[0] {
			for at := 0; ; {
				i := strings.Index(text[at:], verb)
				if i < 0 {
					break
				}
				at += i
				around := text[max(0, at-solidWidth):min(len(text), at+solidWidth)]
				if containsAny(around, p[1]) && containsAny(around, p[2]) {
					return true
				}
				at += len(verb)
			}
		}
	}
	return false
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
