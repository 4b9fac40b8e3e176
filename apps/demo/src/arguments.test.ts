import { describe, expect, it } from 'vitest'
import { readArguments } from './arguments.js'

const defaults = {
  isOnce: false,
  isServing: false,
  directory: undefined,
  children: 4,
  limit: undefined,
}

describe('readArguments', () => {
  it('nothing → the defaults', () => {
    expect(readArguments([])).toEqual({ type: 'run', options: defaults })
  })

  it('everything → everything', () => {
    const args = ['--once', '--dir', './here', '--children', '2', '--limit=2000']
    expect(readArguments(args)).toEqual({
      type: 'run',
      options: { isOnce: true, isServing: false, directory: './here', children: 2, limit: 2_000 },
    })
  })

  it('--help → help, whatever else is there', () => {
    expect(readArguments(['--once', '--help'])).toEqual({ type: 'help' })
  })

  it('--serve → serves until it is stopped, which --once does not', () => {
    const options = { ...defaults, isServing: true }
    expect(readArguments(['--serve'])).toEqual({ type: 'run', options })
    expect(() => readArguments(['--serve', '--once'])).toThrow(TypeError)
  })

  it.each([['--children=0'], ['--limit=many'], ['--children=1.5'], ['--dir='], ['--what'], ['x']])(
    '%s → refused',
    (flag) => {
      expect(() => readArguments([flag])).toThrow(TypeError)
    },
  )
})
