import { describe, expect, test } from 'vitest'
import { isHostAllowed, isLoopback, isOriginAllowed } from './origin.js'

const PAGE = 'https://app.example.com'
const OPEN = { hasToken: false, allowed: [] }
const CLOSED = { hasToken: true, allowed: [] }

describe('origin', () => {
  test('by default → programs and pages of this machine, no other page, token or not', () => {
    const origins = {
      none: undefined,
      own: 'http://localhost:5173',
      address: 'http://127.0.0.1:8080',
      v6: 'http://[::1]:3000',
      foreign: 'https://evil.example',
      look: 'http://localhost.evil.example',
      inside: 'http://127.0.0.1.evil.example',
      opaque: 'null',
      file: 'file://',
    }
    for (const rules of [OPEN, CLOSED]) {
      const names = Object.entries(origins).filter(([, origin]) =>
        isOriginAllowed({ origin, host: '127.0.0.1:7400' }, rules),
      )
      expect(names.map(([name]) => name)).toEqual(['none', 'own', 'address', 'v6'])
    }
  })

  test('a listed origin → let in; its name with another scheme or port is another origin', () => {
    const rules = { hasToken: false, allowed: [PAGE] }
    const host = '127.0.0.1:7400'
    expect(isOriginAllowed({ origin: PAGE, host }, rules)).toBe(true)
    expect(isOriginAllowed({ origin: 'http://app.example.com', host }, rules)).toBe(false)
    expect(isOriginAllowed({ origin: `${PAGE}:8443`, host }, rules)).toBe(false)
  })

  test('a token is asked for → pages of the host by which the node was found come in', () => {
    const host = 'app.example.com:7400'
    expect(isOriginAllowed({ origin: PAGE, host }, CLOSED)).toBe(true)
    expect(isOriginAllowed({ origin: 'http://app.example.com:3000', host }, CLOSED)).toBe(true)
    expect(isOriginAllowed({ origin: 'https://evil.example', host }, CLOSED)).toBe(false)
    expect(isOriginAllowed({ origin: PAGE, host: undefined }, CLOSED)).toBe(false)
  })

  test('no token, and a foreign name that leads here (DNS rebinding) → refused', () => {
    const visitor = { origin: 'http://evil.example:7400', host: 'evil.example:7400' }
    expect(isOriginAllowed(visitor, OPEN)).toBe(false)
    expect(isHostAllowed({ host: visitor.host }, OPEN)).toBe(false)
  })

  test('hosts by which a reader without an origin may have come', () => {
    const hosts = ['127.0.0.1:7400', 'localhost', '[::1]:7400', 'app.example.com', 'db:7400', '']
    const rules = { hasToken: false, allowed: [PAGE] }
    const allowed = hosts.filter((host) => isHostAllowed({ host }, rules))
    expect(allowed).toEqual(['127.0.0.1:7400', 'localhost', '[::1]:7400', 'app.example.com'])
    expect(isHostAllowed({}, OPEN)).toBe(false)
    expect(isHostAllowed({ host: 'db:7400' }, CLOSED)).toBe(true)
  })

  test('hosts that mean this machine only', () => {
    const hosts = ['localhost', '127.0.0.1', '127.8.8.8', '::1', '0.0.0.0', '::', '10.0.0.1', 'db']
    expect(hosts.filter(isLoopback)).toEqual(['localhost', '127.0.0.1', '127.8.8.8', '::1'])
  })
})
