/**
 * Text from elsewhere, safe for a terminal: names and messages come from hosts and guests, and an escape sequence
 * among them could redraw what the operator believes to have read. Each control character becomes a `?`.
 */

const CONTROL = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu;

export const printable = (text: string): string => text.replaceAll("\n", " ").replaceAll(CONTROL, "?");
