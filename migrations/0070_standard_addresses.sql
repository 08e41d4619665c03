-- Standard addresses are states of their areas' scopes, key address/CODE: which area holds a code is asked at each import.
CREATE INDEX states_address ON states (key) WHERE key LIKE 'address/%';
