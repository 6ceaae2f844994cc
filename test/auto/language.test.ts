import assert from 'node:assert/strict'
import { test } from 'node:test'
import { languageOf } from '../../src/plugins/auto/language.ts'

test('the language of a sentence is detected by its words, letters and script', () => {
  for (const [text, language] of [
    ['Please write a letter to the customer about the delay', 'en'],
    ['Napisz proszę list do klienta o opóźnieniu dostawy', 'pl'],
    ['Prosze napisac list, bo nie wiem jak to jest', 'pl'],
    ['Schreibe bitte einen Brief an den Kunden, der nicht bezahlt hat', 'de'],
    ['Écris une lettre pour le client qui est en retard', 'fr'],
    ['Escribe una carta para el cliente que no ha pagado', 'es'],
    ['Scrivi una lettera per il cliente che non ha pagato', 'it'],
    ['Escreva uma carta para o cliente que não pagou', 'pt'],
    ['Schrijf een brief aan de klant die niet heeft betaald', 'nl'],
    ['Napiš prosím dopis zákazníkovi, který nezaplatil', 'cs'],
    ['Напиши письмо клиенту', 'ru'],
    ['Напиши листа клієнту її фірми', 'uk'],
    ['お客様に手紙を書いてください', 'ja'],
    ['给客户写一封信', 'zh'],
  ])
    assert.equal(languageOf(text ?? ''), language, text)
  for (const nothing of ['', '12345', 'xyzzy', '{}[];']) assert.equal(languageOf(nothing), undefined, nothing)
})
