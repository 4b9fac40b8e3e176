/** The text somebody is typing, and what each key does to it. Pure. */

/** A key as `node:readline` reports it. */
export interface Key {
  readonly sequence?: string | undefined
  readonly name?: string | undefined
  readonly ctrl?: boolean | undefined
  readonly meta?: boolean | undefined
}

export type Typed = { readonly type: 'text'; readonly text: string } | { readonly type: 'leave' }

const TEXT_CHARACTERS_MAX = 60
const SEGMENTER = new Intl.Segmenter()
const PRINTABLE = /^[^\p{Cc}\p{Cs}\p{Co}\p{Cn}]+$/u
const LEAVING = new Set(['return', 'enter', 'escape'])

export function press(text: string, { sequence = '', name, ctrl, meta }: Key): Typed {
  if (ctrl === true) {
    if (name === 'c' || name === 'd') return { type: 'leave' }
    if (name === 'u') return { type: 'text', text: '' }
    if (name === 'w') return { type: 'text', text: text.replace(/\S*\s*$/u, '') }
    return { type: 'text', text: name === 'h' ? withoutLast(text) : text }
  }
  if (name !== undefined && LEAVING.has(name)) return { type: 'leave' }
  if (name === 'backspace') return { type: 'text', text: withoutLast(text) }
  // A name begins with a letter: a space there only hides that nothing was typed.
  if (meta === true || !PRINTABLE.test(sequence) || (text === '' && sequence === ' ')) {
    return { type: 'text', text }
  }
  const longer = text + sequence
  return { type: 'text', text: longer.length > TEXT_CHARACTERS_MAX ? text : longer }
}

function withoutLast(text: string): string {
  const characters = Array.from(SEGMENTER.segment(text), ({ segment }) => segment)
  return characters.slice(0, -1).join('')
}
