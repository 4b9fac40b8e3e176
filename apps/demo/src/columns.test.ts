import { describe, expect, it } from 'vitest'
import { clip, pad, table, widthOf } from './columns.js'

describe('columns', () => {
  it.each([
    ['Zürich', 6],
    ['Zürich'.normalize('NFD'), 6],
    ['東京', 4],
    ['Зуунмод', 7],
    ['', 0],
  ])('%s takes %i columns', (text, width) => {
    expect(widthOf(text)).toBe(width)
  })

  it('pad fills up on either side and never cuts', () => {
    expect(pad('東京', 6)).toBe('東京  ')
    expect(pad('12', 4, 'right')).toBe('  12')
    expect(pad('long', 2)).toBe('long')
  })

  it('clip keeps to the width and shows that it cut', () => {
    expect(clip('Zürich', 6)).toBe('Zürich')
    expect(clip('Zürich', 4)).toBe('Zür…')
    expect(clip('東京都', 4)).toBe('東…')
  })

  it('table aligns columns and leaves no blanks at the end of a line', () => {
    expect(
      table(
        [
          ['a', '1', ''],
          ['bcd', '22', 'x'],
        ],
        ['left', 'right', 'left'],
      ),
    ).toEqual(['a     1', 'bcd  22  x'])
  })
})
