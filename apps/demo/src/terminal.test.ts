import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { Terminal } from './terminal.js'

function terminalOn(size: object) {
  const output = Object.assign(new PassThrough(), size)
  return { terminal: new Terminal(output), shown: () => String(output.read() ?? '') }
}

describe('Terminal', () => {
  it('a size of nothing, or none → a usual one', () => {
    for (const size of [{}, { columns: 0, rows: 0 }]) {
      const { terminal } = terminalOn(size)
      expect([terminal.columns, terminal.rows]).toEqual([80, 24])
    }
    expect(terminalOn({ columns: 100, rows: 40 }).terminal.columns).toBe(100)
  })

  it('a passing line → erased by what comes next, on a live terminal', () => {
    const { terminal, shown } = terminalOn({ isTTY: true })
    terminal.pass('waiting')
    terminal.line('done')
    terminal.line('more')
    expect(shown()).toBe('  waiting\r\u001b[K  done\n  more\n')
  })

  it('a passing line where nothing can be erased → not shown', () => {
    const { terminal, shown } = terminalOn({})
    terminal.pass('waiting')
    terminal.line('done')
    expect(shown()).toBe('  done\n')
  })
})
