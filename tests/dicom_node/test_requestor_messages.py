from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO

from services.dicom_node.requestor_messages import await_own_responses


def test_only_a_caller_that_waits_takes_a_response() -> None:
    """pynetdicom's own thread asks without blocking."""
    association, response = await_own_responses(Association(AE("ICH"), "requestor")), C_ECHO()
    association.dimse.msg_queue.put((1, response))
    assert association.dimse.get_msg() == (None, None)
    assert association.dimse.get_msg(block=True) == (1, response)
